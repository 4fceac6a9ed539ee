#include "client/cli/yaml.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "nlohmann/json.hpp"

namespace likeness::client {
namespace {

using Json = nlohmann::ordered_json;

// A key that any YAML reader takes for a string as it stands.
bool IsPlainKey(absl::string_view key) {
  if (key.empty() || !absl::ascii_isalpha(key[0])) return false;
  for (char c : key) {
    if (!absl::ascii_isalnum(c) && c != '_') return false;
  }
  const auto word = absl::AsciiStrToLower(key);  // YAML 1.1 takes "No" and "NO" for false too
  return word != "true" && word != "false" && word != "null" && word != "yes" && word != "no" &&
         word != "on" && word != "off" && word != "y" && word != "n";
}

// JSON's "5e-06" has no point, without which a reader of YAML 1.1 takes it for a string.
std::string Scalar(const Json& value) {
  std::string text = value.dump();
  const size_t exponent = text.find('e');
  if (value.is_number_float() && exponent != text.npos && !absl::StrContains(text, '.')) {
    text.insert(exponent, ".0");
  }
  return text;
}

void Append(const Json& value, const std::string& indent, std::string& yaml) {
  if ((value.is_object() || value.is_array()) && !value.empty()) {
    bool first = true;
    for (const auto& [key, part] : value.items()) {
      if (!first) yaml += indent;
      first = false;
      const bool nested = (part.is_object() || part.is_array()) && !part.empty();
      if (value.is_array()) {
        yaml += "- ";
        Append(part, indent + "  ", yaml);
        continue;
      }
      absl::StrAppend(&yaml, IsPlainKey(key) ? key : Json(key).dump(), ":");
      absl::StrAppend(&yaml, nested ? absl::StrCat("\n", indent, "  ") : " ");
      Append(part, indent + "  ", yaml);
    }
    return;
  }
  absl::StrAppend(&yaml, Scalar(value), "\n");
}

}  // namespace

std::string JsonToYaml(absl::string_view json) {
  std::string yaml;
  Append(Json::parse(json, nullptr, /*allow_exceptions=*/false), "", yaml);
  return std::string(absl::StripSuffix(yaml, "\n"));
}

}  // namespace likeness::client
