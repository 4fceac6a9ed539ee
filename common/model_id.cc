#include "common/model_id.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/digest.h"

namespace likeness {
namespace {

constexpr size_t kLongest = 128;  // as ParseModelName has it
constexpr size_t kLongestReadable = 80;
constexpr size_t kDigestDigits = 8;

bool IsAllowed(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
}

bool IsId(absl::string_view text) {
  return !text.empty() && text.size() <= kLongest && text != "-" && text != "." && text != ".." &&
         std::all_of(text.begin(), text.end(), IsAllowed);
}

// "org/name" as Hugging Face allows it: neither part has "--", so that none else is spelled alike.
bool IsRepository(absl::string_view text) {
  const size_t slash = text.find('/');
  return slash != text.npos && text.size() < kLongest && IsId(text.substr(0, slash)) &&
         IsId(text.substr(slash + 1)) && !absl::StrContains(text, "--") && text[slash - 1] != '-' &&
         text[slash + 1] != '-';
}

// Runs of other characters become one '-'; none at either end.
std::string Readable(absl::string_view text) {
  std::string readable;
  for (const char c : text) {
    if (readable.size() == kLongestReadable) break;
    if (IsAllowed(c)) {
      readable += c;
    } else if (c == '/') {
      readable += "--";
    } else if (!readable.empty() && readable.back() != '-') {
      readable += '-';
    }
  }
  while (!readable.empty() && readable.back() == '-') readable.pop_back();
  return readable;
}

}  // namespace

std::string BaseModelId(absl::string_view display_name) {
  if (IsId(display_name)) return std::string(display_name);
  if (IsRepository(display_name)) {
    const size_t slash = display_name.find('/');
    return absl::StrCat(display_name.substr(0, slash), "--", display_name.substr(slash + 1));
  }
  const std::string readable = Readable(display_name);
  return absl::StrCat(readable, readable.empty() ? "" : "-",
                      Sha256Hex(display_name).substr(0, kDigestDigits));
}

}  // namespace likeness
