#include "worker/training/host.h"

#include "worker/base/error.h"

namespace likeness {

void ThrowIfStopped(StopReason reason) {
  switch (reason) {
    case StopReason::kNone:
      return;
    case StopReason::kCancel:
      throw Error(ErrorKind::kCancelled, "the job was cancelled");
    case StopReason::kDrain:
      throw Error(ErrorKind::kCancelled, "the worker is draining");
  }
}

}  // namespace likeness
