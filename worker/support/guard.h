// The one border between code that throws (the engine, and the files of this room that drive it)
// and code that returns absl::Status (everything that talks to the server or to a person).
#pragma once

#include <exception>
#include <functional>
#include <stdexcept>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace likeness {

// Runs `body` and turns what it throws into a status:
//   StatusError                     its status
//   Error                           by its kind
//   c10::OutOfMemoryError, std::bad_alloc, a full disk   RESOURCE_EXHAUSTED
//   anything else                   INTERNAL
// No message holds a path, a stack trace or a text that a library throws; what LibTorch warns of
// goes to the log.
absl::Status Guard(const std::function<void()>& body);

// Whether it says that the memory of the machine or of the device does not suffice.
bool IsOutOfMemory(const std::exception_ptr& error);

// Whether another attempt, perhaps on another worker, may end better. Wrong input and wrong models
// stay wrong; memory, disks, lost bytes, lost connections and defects may not.
bool IsRetryable(const absl::Status& status);

// The way back: a status as an exception, for what lies below the guard.
class StatusError : public std::runtime_error {
 public:
  explicit StatusError(absl::Status status);
  const absl::Status& status() const { return status_; }

 private:
  absl::Status status_;
};

void ThrowIfError(const absl::Status& status);

template <typename T>
T ValueOrThrow(absl::StatusOr<T> value) {
  ThrowIfError(value.status());
  return *std::move(value);
}

}  // namespace likeness
