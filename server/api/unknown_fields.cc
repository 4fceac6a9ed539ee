#include "server/api/unknown_fields.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::server {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string Join(const std::string& path, const std::string& part) {
  return path.empty() ? part : absl::StrCat(path, ".", part);
}

// Whether there are any: what nearly every request is asked for, with no names in the answer.
bool HasUnknownFields(const Message& message) {
  const auto* reflection = message.GetReflection();
  if (!reflection->GetUnknownFields(message).empty()) return true;
  const auto* type = message.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_map()) continue;
    if (!field->is_repeated()) {
      if (!reflection->HasField(message, field)) continue;
      if (HasUnknownFields(reflection->GetMessage(message, field))) return true;
      continue;
    }
    for (int j = 0; j < reflection->FieldSize(message, field); ++j) {
      if (HasUnknownFields(reflection->GetRepeatedMessage(message, field, j))) return true;
    }
  }
  return false;
}

absl::Status Walk(const Message& message, const std::string& path) {
  const auto* reflection = message.GetReflection();
  const auto& unknown = reflection->GetUnknownFields(message);
  if (!unknown.empty()) {
    const std::string field = Join(path, absl::StrCat(unknown.field(0).number()));
    return InvalidField(field,
                        absl::StrCat("this server knows no field ", unknown.field(0).number(),
                                     " of ", std::string(message.GetDescriptor()->full_name())),
                        "UNKNOWN_FIELDS");
  }
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    // Values of our maps are scalars, so there is nothing to look into.
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_map()) continue;
    if (!field->is_repeated()) {
      RETURN_IF_ERROR(Walk(reflection->GetMessage(message, field), Join(path, field->name())));
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      RETURN_IF_ERROR(Walk(reflection->GetRepeatedMessage(message, field, i),
                           Join(path, absl::StrCat(field->name(), "[", i, "]"))));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RefuseUnknownFields(const Message& message) {
  return HasUnknownFields(message) ? Walk(message, "") : absl::OkStatus();
}

}  // namespace likeness::server
