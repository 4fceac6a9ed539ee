#include "client/cli/yaml.h"

#include "absl/strings/ascii.h"
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
  return key != "true" && key != "false" && key != "null" && key != "yes" && key != "no" &&
         key != "on" && key != "off" && key != "y" && key != "n";
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
  absl::StrAppend(&yaml, value.dump(), "\n");
}

}  // namespace

std::string JsonToYaml(absl::string_view json) {
  std::string yaml;
  Append(Json::parse(json, nullptr, /*allow_exceptions=*/false), "", yaml);
  return std::string(absl::StripSuffix(yaml, "\n"));
}

}  // namespace likeness::client
