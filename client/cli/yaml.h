// JSON as YAML.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace likeness::client {

// A YAML 1.2 document in block style with the value of `json`, which is valid JSON. Strings are
// quoted as in JSON, which YAML reads the same way. No newline at the end.
std::string JsonToYaml(absl::string_view json);

}  // namespace likeness::client
