// Linked into every program of a ThreadSanitizer build. Debian's gRPC and the absl::Mutex that it
// locks with are not instrumented: the sanitizer would not know what they order, and take every
// hand-over between gRPC's threads for a race. These functions stand before the libraries' own,
// call them, and tell the sanitizer.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpc/grpc.h"

extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);

namespace {

template <typename Function>
Function* OwnOfLibrary(const char* name) {
  void* own = name != nullptr ? dlsym(RTLD_NEXT, name) : nullptr;
  if (own == nullptr) {
    std::fputs("tsan_grpc: gRPC and Abseil must be linked dynamically\n", stderr);
    std::abort();
  }
  return reinterpret_cast<Function*>(own);
}

// The library's member function behind one of ours, as a free one that takes `this` first.
template <typename Function, typename Member>
Function* OwnOfAbseil(Member ours) {
  void* address = nullptr;
  std::memcpy(&address, &ours, sizeof(address));  // it is not virtual
  Dl_info info = {};
  dladdr(address, &info);
  return OwnOfLibrary<Function>(info.dli_sname);
}

}  // namespace

void absl::Mutex::Lock() {
  static auto* const own = OwnOfAbseil<void(Mutex*)>(&Mutex::Lock);
  own(this);
  __tsan_acquire(this);
}

void absl::Mutex::Unlock() {
  static auto* const own = OwnOfAbseil<void(Mutex*)>(&Mutex::Unlock);
  __tsan_release(this);
  own(this);
}

bool absl::Mutex::TryLock() {
  static auto* const own = OwnOfAbseil<bool(Mutex*)>(&Mutex::TryLock);
  const bool locked = own(this);
  if (locked) __tsan_acquire(this);
  return locked;
}

void absl::CondVar::Wait(Mutex* mutex) {
  static auto* const own = OwnOfAbseil<void(CondVar*, Mutex*)>(&CondVar::Wait);
  __tsan_release(mutex);
  own(this, mutex);
  __tsan_acquire(mutex);
}

bool absl::CondVar::WaitWithTimeout(Mutex* mutex, absl::Duration timeout) {
  static auto* const own =
      OwnOfAbseil<bool(CondVar*, Mutex*, absl::Duration)>(&CondVar::WaitWithTimeout);
  __tsan_release(mutex);
  const bool late = own(this, mutex, timeout);
  __tsan_acquire(mutex);
  return late;
}

bool absl::CondVar::WaitWithDeadline(Mutex* mutex, absl::Time deadline) {
  static auto* const own =
      OwnOfAbseil<bool(CondVar*, Mutex*, absl::Time)>(&CondVar::WaitWithDeadline);
  __tsan_release(mutex);
  const bool late = own(this, mutex, deadline);
  __tsan_acquire(mutex);
  return late;
}

// An operation begins under a tag, and what its starter did is seen where the tag comes out.

grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* ops, size_t count, void* tag,
                                      void* reserved) {
  static auto* const own = OwnOfLibrary<decltype(grpc_call_start_batch)>("grpc_call_start_batch");
  __tsan_release(tag);
  return own(call, ops, count, tag, reserved);
}

grpc_event grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline,
                                      void* reserved) {
  static auto* const own =
      OwnOfLibrary<decltype(grpc_completion_queue_next)>("grpc_completion_queue_next");
  const grpc_event event = own(queue, deadline, reserved);
  if (event.type == GRPC_OP_COMPLETE) __tsan_acquire(event.tag);
  return event;
}
