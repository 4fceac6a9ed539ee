#include "worker/support/guard.h"

#include <c10/util/Exception.h>

#include <filesystem>
#include <new>
#include <string>
#include <system_error>

#include "common/logging.h"
#include "common/rpc_error.h"
#include "worker/base/error.h"

namespace likeness {
namespace {

absl::StatusCode CodeOf(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return absl::StatusCode::kInvalidArgument;
    case ErrorKind::kNotFound:
      return absl::StatusCode::kNotFound;
    case ErrorKind::kFailedPrecondition:
      return absl::StatusCode::kFailedPrecondition;
    case ErrorKind::kDataLoss:
      return absl::StatusCode::kDataLoss;
    case ErrorKind::kDiskFull:
      return absl::StatusCode::kResourceExhausted;
    case ErrorKind::kCancelled:
      return absl::StatusCode::kCancelled;
    case ErrorKind::kInternal:
      return absl::StatusCode::kInternal;
  }
  return absl::StatusCode::kInternal;
}

absl::Status OutOfMemory(const std::string& what) {
  return RpcError(absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY",
                  "The device's memory does not suffice for this job: " + what);
}

// The CPU's allocator has no exception type of its own.
bool IsOutOfCpuMemory(const c10::Error& error) {
  const std::string what = error.what_without_backtrace();
  return what.substr(0, what.find('\n')).find("DefaultCPUAllocator") != std::string::npos;
}

absl::Status FromTorch(const c10::Error& error) {
  const std::string what = error.what_without_backtrace();
  const std::string line = what.substr(0, what.find('\n'));
  if (IsOutOfCpuMemory(error)) return OutOfMemory(line);
  return RpcError(absl::StatusCode::kInternal, "ENGINE_FAILURE", line);
}

absl::Status DiskFull(const std::string& what) {
  return RpcError(absl::StatusCode::kResourceExhausted, "DISK_FULL", "The worker's disk: " + what);
}

absl::Status FromEngine(const Error& error) {
  if (error.kind() == ErrorKind::kDiskFull) return DiskFull(error.what());
  return absl::Status(CodeOf(error.kind()), error.what());
}

absl::Status FromSystem(const std::system_error& error) {
  const std::string what = error.code().message();  // what() would hold the path
  if (IsDiskFull(error.code().value())) return DiskFull(what);
  return RpcError(absl::StatusCode::kInternal, "SYSTEM_ERROR", "The worker's system: " + what);
}

// What LibTorch warns of is for whoever runs the worker.
class LogWarnings : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override {
    LogWarning("engine", {{"library", "libtorch"}, {"line", warning.msg()}});
  }
};

// A text that no error of ours carries may be a library's own: "[json.exception.type_error.302]".
absl::Status Defect(absl::string_view what) {
  LogError("unexpected exception", {{"what", what}});
  return RpcError(absl::StatusCode::kInternal, "WORKER_DEFECT",
                  "The worker met an unexpected error; its log says which.");
}

}  // namespace

absl::Status Guard(const std::function<void()>& body) {
  LogWarnings handler;
  const c10::WarningUtils::WarningHandlerGuard warnings(&handler);
  try {
    body();
    return absl::OkStatus();
  } catch (const StatusError& error) {
    return error.status();
  } catch (const Error& error) {
    return FromEngine(error);
  } catch (const c10::OutOfMemoryError& error) {
    const std::string what = error.what_without_backtrace();
    return OutOfMemory(what.substr(0, what.find('\n')));
  } catch (const c10::Error& error) {
    return FromTorch(error);
  } catch (const std::bad_alloc&) {
    return OutOfMemory("an allocation failed");
  } catch (const std::system_error& error) {
    return FromSystem(error);
  } catch (const std::exception& error) {
    return Defect(error.what());
  } catch (...) {
    return Defect("an unknown exception");
  }
}

bool IsOutOfMemory(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    return true;
  } catch (const c10::OutOfMemoryError&) {
    return true;
  } catch (const c10::Error& torch_error) {
    return IsOutOfCpuMemory(torch_error);
  } catch (...) {
    return false;
  }
}

bool IsRetryable(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return true;
    default:
      return false;
  }
}

StatusError::StatusError(absl::Status status)
    : std::runtime_error(std::string(status.message())), status_(std::move(status)) {}

void ThrowIfError(const absl::Status& status) {
  if (!status.ok()) throw StatusError(status);
}

}  // namespace likeness
