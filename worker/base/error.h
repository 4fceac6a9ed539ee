// The one exception type of the engine (docs/architecture.md).
//
// The engine builds with LibTorch and OpenSSL alone, and LibTorch reports by throwing, so the
// engine throws too; worker/support/guard.h turns every exception into absl::Status once, at the
// border. See docs/decisions/0002-engine-errors.md.
#pragma once

#include <stdexcept>
#include <string>

namespace likeness {

enum class ErrorKind {
  kInvalidArgument,     // the request is wrong whatever the state: bad value, bad picture
  kNotFound,            // a named thing is not there
  kFailedPrecondition,  // right request, wrong state: a model directory that lacks a key
  kDataLoss,            // a file is cut, corrupt, or not what its digest says
  kDiskFull,            // the disk or a quota of it
  kCancelled,           // the host asked to stop
  kInternal,            // a defect of ours
};

// `what()` says what was wrong, with which value, and what is allowed. It never holds an absolute
// path.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

// The name of a kind as gRPC spells its status code, e.g. "INVALID_ARGUMENT".
const char* ErrorKindName(ErrorKind kind);

// Whether an errno says that the disk, a quota or a limit of files holds no more.
bool IsDiskFull(int error);

// A write that failed with the errno `error`: kDiskFull, or kInternal. `what`: was being done.
Error WriteError(const std::string& what, int error);

}  // namespace likeness
