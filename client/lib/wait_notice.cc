#include "client/lib/wait_notice.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace likeness::client {
namespace {

struct Listener {
  absl::Mutex mutex;
  WaitNotice notice ABSL_GUARDED_BY(mutex);
};

Listener& TheListener() {
  static auto& listener = *new Listener;
  return listener;
}

}  // namespace

void SetWaitNotice(WaitNotice notice) {
  absl::MutexLock lock(&TheListener().mutex);
  TheListener().notice = std::move(notice);
}

void NoticeWait(const std::string& what, absl::Duration most) {
  WaitNotice notice;
  {
    absl::MutexLock lock(&TheListener().mutex);
    notice = TheListener().notice;
  }
  if (notice) notice(what, most);  // it may set another, or wait itself
}

}  // namespace likeness::client
