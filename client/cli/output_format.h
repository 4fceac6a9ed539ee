// -o: results as a table for people, as the API's own JSON or YAML, or as names alone.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace likeness::client {

enum class OutputFormat { kTable, kJson, kYaml, kName };

inline constexpr char kOutputFormats[] = "table|json|yaml|name";

// INVALID_ARGUMENT: none of kOutputFormats.
absl::StatusOr<OutputFormat> ParseOutputFormat(absl::string_view text);

// `message` as JSON over several lines, or as a YAML document; without a newline at the end.
std::string Format(OutputFormat format, const google::protobuf::Message& message);
// The same of JSON that is no message of the API.
std::string Format(OutputFormat format, const std::string& json);

// One of a stream of messages: a line of JSON, or a YAML document after "---".
std::string FormatInStream(OutputFormat format, const google::protobuf::Message& message);

}  // namespace likeness::client
