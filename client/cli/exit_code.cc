#include "client/cli/exit_code.h"

#include "common/rpc_error.h"

namespace likeness::client {

ExitCode ExitCodeFor(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kDone;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return kNoServer;
    case absl::StatusCode::kCancelled:  // by somebody else: one's own Ctrl-C is no error
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
      return kJobFailed;
    case absl::StatusCode::kInvalidArgument:
      return ErrorReason(status).empty() ? kWrongUse : kRefused;
    case absl::StatusCode::kPermissionDenied:  // without a reason: this machine's disk
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kResourceExhausted:
      return ErrorReason(status).empty() ? kJobFailed : kRefused;
    default:
      return kRefused;
  }
}

}  // namespace likeness::client
