#include "worker/base/error.h"

#include <cerrno>
#include <cstring>

namespace likeness {

const char* ErrorKindName(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case ErrorKind::kNotFound:
      return "NOT_FOUND";
    case ErrorKind::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case ErrorKind::kDataLoss:
      return "DATA_LOSS";
    case ErrorKind::kDiskFull:
      return "RESOURCE_EXHAUSTED";
    case ErrorKind::kCancelled:
      return "CANCELLED";
    case ErrorKind::kInternal:
      return "INTERNAL";
  }
  return "INTERNAL";
}

bool IsDiskFull(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG; }

Error WriteError(const std::string& what, int error) {
  return Error(IsDiskFull(error) ? ErrorKind::kDiskFull : ErrorKind::kInternal,
               what + ": " + std::strerror(error));
}

}  // namespace likeness
