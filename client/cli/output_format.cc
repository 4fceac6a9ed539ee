#include "client/cli/output_format.h"

#include "absl/strings/str_cat.h"
#include "client/cli/json.h"
#include "client/cli/yaml.h"

namespace likeness::client {

absl::StatusOr<OutputFormat> ParseOutputFormat(absl::string_view text) {
  if (text == "table") return OutputFormat::kTable;
  if (text == "json") return OutputFormat::kJson;
  if (text == "yaml") return OutputFormat::kYaml;
  if (text == "name") return OutputFormat::kName;
  return absl::InvalidArgumentError(
      absl::StrCat("--output is '", text, "'; table, json, yaml and name are allowed."));
}

std::string Format(OutputFormat format, const google::protobuf::Message& message) {
  return Format(format, ToJson(message));
}

std::string Format(OutputFormat format, const std::string& json) {
  return format == OutputFormat::kYaml ? JsonToYaml(json) : json;
}

std::string FormatInStream(OutputFormat format, const google::protobuf::Message& message) {
  if (format != OutputFormat::kYaml) return ToJsonLine(message);
  return absl::StrCat("---\n", JsonToYaml(ToJson(message)));
}

}  // namespace likeness::client
