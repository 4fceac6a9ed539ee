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
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Courier::Send(Errand errand) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return errands_.size() < kMostErrands; });
  errands_.push_back(std::move(errand));
  changed_.notify_all();
}

bool Courier::Flush(absl::Duration limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, absl::ToChronoNanoseconds(limit),
                           [this] { return errands_.empty() && !busy_; });
}

void Courier::Run() {
  while (true) {
    Errand errand;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !errands_.empty(); });
      if (stopping_) return;
      errand = std::move(errands_.front());
      errands_.pop_front();
      busy_ = true;
    }
    changed_.notify_all();
    try {
      errand();
    } catch (const std::exception& error) {
      LogError("an errand failed", {{"error", error.what()}});
    }
    errand = nullptr;
    {
      std::lock_guard lock(mutex_);
      busy_ = false;
    }
    changed_.notify_all();
  }
}

}  // namespace likeness
