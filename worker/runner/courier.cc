#include "worker/runner/courier.h"

#include <utility>

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

void Courier::Send(std::function<absl::Status()> errand) {
  absl::MutexLock lock(&mutex_);
  const auto room = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return errands_.size() < kMostErrands;
  };
  mutex_.Await(absl::Condition(&room));
  errands_.push_back(std::move(errand));
}

absl::Status Courier::Flush() {
  absl::MutexLock lock(&mutex_);
  const auto idle = [this]()
                        ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return errands_.empty() && !busy_; };
  mutex_.Await(absl::Condition(&idle));
  return std::exchange(failure_, absl::OkStatus());
}

void Courier::Run() {
  while (true) {
    std::function<absl::Status()> errand;
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
    const absl::Status status = errand();
    absl::MutexLock lock(&mutex_);
    busy_ = false;
    if (failure_.ok()) failure_ = status;
  }
}

}  // namespace likeness
