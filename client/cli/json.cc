#include "client/cli/json.h"

#include "absl/strings/strip.h"
#include "google/protobuf/util/json_util.h"

namespace likeness::client {
namespace {

std::string Print(const google::protobuf::Message& message, bool indented) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = indented;
  std::string json;
  auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  // It fails only for an Any whose type this program does not know: leave a valid object behind all
  // the same.
  return status.ok() ? std::string(absl::StripTrailingAsciiWhitespace(json)) : "{}";
}

}  // namespace

std::string ToJson(const google::protobuf::Message& message) { return Print(message, true); }

std::string ToJsonLine(const google::protobuf::Message& message) { return Print(message, false); }

}  // namespace likeness::client
