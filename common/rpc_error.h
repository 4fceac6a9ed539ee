// Errors of the API: absl::Status that carries google.rpc.ErrorInfo (always) and
// google.rpc.BadRequest (for a wrong field), and its conversions to what gRPC sends.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/support/status.h"

namespace likeness {

inline constexpr char kErrorDomain[] = "likeness";

// ErrorInfo's metadata: what the message says, for programs. The keys are listed in docs/api.md.
using ErrorMetadata = std::map<std::string, std::string>;

// A field of the request that is wrong, as a path from the request: "job.fine_tune.training.steps".
struct FieldViolation {
  std::string field;
  std::string description;
  ErrorMetadata metadata{};
};

// An error with ErrorInfo{domain "likeness", reason}. `reason` is UPPER_SNAKE and stable; `message`
// says what was wrong, with which value, and what is allowed.
absl::Status RpcError(absl::StatusCode code, absl::string_view reason, absl::string_view message,
                      const ErrorMetadata& metadata = {});

// INVALID_ARGUMENT for one field of the request.
absl::Status InvalidField(absl::string_view field, absl::string_view description,
                          absl::string_view reason = "INVALID_FIELD",
                          const ErrorMetadata& metadata = {});

// INVALID_ARGUMENT for several; `violations` is not empty. The message names the first, whose
// metadata is the error's, with "field". Details are kept below 4 KiB: what is beyond is left out.
absl::Status InvalidFields(const std::vector<FieldViolation>& violations,
                           absl::string_view reason = "INVALID_FIELD");

// ErrorInfo's reason; empty when the status has none.
std::string ErrorReason(const absl::Status& status);

// ErrorInfo's metadata; empty when the status has none.
ErrorMetadata MetadataOf(const absl::Status& status);

// `status` with `to` wherever a field begins with `from`: where one request is checked as a part of
// another.
absl::Status WithFieldsRenamed(const absl::Status& status, const std::string& from,
                               const std::string& to);

// BadRequest's violations; empty when there is none.
std::vector<FieldViolation> FieldViolations(const absl::Status& status);

// A status without ErrorInfo gets one whose reason is the code's name.
google::rpc::Status ToRpcStatus(const absl::Status& status);
absl::Status FromRpcStatus(const google::rpc::Status& status);

grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace likeness
