#include "worker/base/error.h"

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
    case ErrorKind::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case ErrorKind::kCancelled:
      return "CANCELLED";
    case ErrorKind::kInternal:
      return "INTERNAL";
  }
  return "INTERNAL";
}

}  // namespace likeness
