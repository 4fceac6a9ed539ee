#include "common/utf8.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/stubs/common.h"

namespace likeness {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kShownBytes = 80;

absl::Status CheckText(const std::string& path, const std::string& text) {
  if (IsUtf8(text)) return absl::OkStatus();
  const absl::string_view shown = absl::string_view(text).substr(0, kShownBytes);
  return absl::InvalidArgumentError(absl::StrCat(path, " is \"", absl::CHexEscape(shown),
                                                 shown.size() < text.size() ? "..." : "",
                                                 "\"; only UTF-8 text is allowed."));
}

absl::Status CheckField(const Message& message, const FieldDescriptor& field,
                        const std::string& path);

absl::Status CheckFields(const Message& message, const std::string& prefix) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const auto* field : fields) {
    RETURN_IF_ERROR(CheckField(message, *field, absl::StrCat(prefix, field->name())));
  }
  return absl::OkStatus();
}

absl::Status CheckField(const Message& message, const FieldDescriptor& field,
                        const std::string& path) {
  const auto* reflection = message.GetReflection();
  const bool is_text = field.type() == FieldDescriptor::TYPE_STRING;
  const bool is_message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  if (!is_text && !is_message) return absl::OkStatus();
  if (!field.is_repeated()) {
    return is_text ? CheckText(path, reflection->GetString(message, &field))
                   : CheckFields(reflection->GetMessage(message, &field), path + ".");
  }
  for (int i = 0; i < reflection->FieldSize(message, &field); ++i) {
    const std::string element = field.is_map() ? path : absl::StrCat(path, "[", i, "]");
    RETURN_IF_ERROR(
        is_text ? CheckText(element, reflection->GetRepeatedString(message, &field, i))
                : CheckFields(reflection->GetRepeatedMessage(message, &field, i), element + "."));
  }
  return absl::OkStatus();
}

void MakeFieldUtf8(Message& message, const FieldDescriptor& field, int index) {
  const auto* reflection = message.GetReflection();
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    MakeUtf8(field.is_repeated() ? *reflection->MutableRepeatedMessage(&message, &field, index)
                                 : *reflection->MutableMessage(&message, &field));
  }
  if (field.type() != FieldDescriptor::TYPE_STRING) return;
  const std::string text = field.is_repeated()
                               ? reflection->GetRepeatedString(message, &field, index)
                               : reflection->GetString(message, &field);
  if (IsUtf8(text)) return;
  if (field.is_repeated()) {
    reflection->SetRepeatedString(&message, &field, index, ToUtf8(text));
  } else {
    reflection->SetString(&message, &field, ToUtf8(text));
  }
}

}  // namespace

bool IsUtf8(absl::string_view bytes) {
  return google::protobuf::internal::IsStructurallyValidUTF8(bytes.data(),
                                                             static_cast<int>(bytes.size()));
}

bool HasControlCharacter(absl::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7F) return true;
    const bool c1 = c == 0xC2 && i + 1 < text.size() &&
                    static_cast<unsigned char>(text[i + 1]) <= 0x9F;  // U+0080 to U+009F
    if (c1) return true;
  }
  return false;
}

std::string ToUtf8(absl::string_view bytes) {
  std::string text(bytes);
  if (IsUtf8(bytes)) return text;
  google::protobuf::internal::UTF8CoerceToStructurallyValid({bytes.data(), bytes.size()},
                                                            text.data(), '?');
  return text;
}

void MakeUtf8(Message& message) {
  const auto* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const auto* field : fields) {
    if (field->is_map()) continue;
    const int size = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
    for (int i = 0; i < size; ++i) MakeFieldUtf8(message, *field, i);
  }
}

absl::Status CheckUtf8(const Message& message) { return CheckFields(message, ""); }

}  // namespace likeness
