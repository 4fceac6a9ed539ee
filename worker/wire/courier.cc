#include "worker/wire/courier.h"

#include <exception>
#include <utility>

#include "common/logging.h"
#include "common/trace.h"

namespace likeness {

Courier::Courier()
    : thread_([this, trace = CurrentTrace()] {
        const TraceScope scope(trace);
        Run();
      }) {}

Courier::~Courier() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void Courier::Send(Errand errand) {
  absl::MutexLock lock(&mutex_);
  const auto room = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return errands_.size() < kMostErrands;
  };
  mutex_.Await(absl::Condition(&room));
  errands_.push_back(std::move(errand));
}

bool Courier::Flush(absl::Duration limit) {
  absl::MutexLock lock(&mutex_);
  const auto idle = [this]()
                        ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return errands_.empty() && !busy_; };
  return mutex_.AwaitWithTimeout(absl::Condition(&idle), limit);
}

void Courier::Run() {
  while (true) {
    Errand errand;
    {
      absl::MutexLock lock(&mutex_);
      const auto wanted = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
        return stopping_ || !errands_.empty();
      };
      mutex_.Await(absl::Condition(&wanted));
      if (stopping_) return;
      errand = std::move(errands_.front());
      errands_.pop_front();
      busy_ = true;
    }
    try {
      errand();
    } catch (const std::exception& error) {
      LogError("an errand failed", {{"error", error.what()}});
    }
    errand = nullptr;
    absl::MutexLock lock(&mutex_);
    busy_ = false;
  }
}

}  // namespace likeness
