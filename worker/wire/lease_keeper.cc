#include "worker/wire/lease_keeper.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "common/logging.h"
#include "common/rpc_error.h"
#include "common/shorten.h"
#include "common/trace.h"
#include "common/utf8.h"
#include "common/worker_limits.h"
#include "worker/wire/rpc_patience.h"

namespace likeness {
namespace {

constexpr size_t kMostTextBytes = kMaxLineBytes - 3;  // Shorten() adds "..."

// A watched progress bar moves about this often; each heartbeat is a durable write on the server.
constexpr absl::Duration kNewsInterval = absl::Milliseconds(500);

absl::Duration RetryPause(int failures, absl::Duration interval) {
  const absl::Duration growing = absl::Milliseconds(100) * (1 << std::min(failures - 1, 5));
  return std::min(growing, interval);
}

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

}  // namespace

LeaseKeeper::LeaseKeeper(v1::WorkerService::StubInterface& stub, const v1::Lease& lease,
                         absl::Duration hang_limit)
    : stub_(stub),
      token_(lease.lease_token()),
      interval_(std::max(FromProto(lease.duration()) / 3, absl::Milliseconds(100))),
      hang_limit_(hang_limit),
      thread_([this, trace = CurrentTrace()] {
        const TraceScope scope(trace);
        Run();
      }) {}

LeaseKeeper::~LeaseKeeper() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void LeaseKeeper::Tell(const std::function<void(v1::HeartbeatRequest& news)>& add) {
  {
    std::lock_guard lock(mutex_);
    add(news_);
    has_news_ = true;
  }
  changed_.notify_all();
}

void LeaseKeeper::Report(const v1::Progress& progress) {
  Tell([&](auto& news) { *news.mutable_progress() = progress; });
}

void LeaseKeeper::Resolved(const v1::ResolvedSpec& resolved) {
  Tell([&](auto& news) { *news.mutable_resolved() = resolved; });
}

void LeaseKeeper::Checkpoint(const v1::Checkpoint& checkpoint) {
  Tell([&](auto& news) { *news.mutable_checkpoint() = checkpoint; });
}

void LeaseKeeper::Warn(const std::string& text) {
  Tell([&](auto& news) { news.add_warnings(Shorten(text, kMostTextBytes)); });
}

void LeaseKeeper::Log(v1::LogSeverity severity, const std::string& text) {
  Tell([&](auto& news) {
    auto& line = *news.add_log_lines();
    line.set_severity(severity);
    line.set_text(Shorten(text, kMostTextBytes));
  });
}

void LeaseKeeper::Sample(const v1::SampleEvent& sample) {
  Tell([&](auto& news) {
    auto& samples = *news.mutable_samples();
    const bool live = !sample.has_output();
    const auto waiting = std::find_if(samples.begin(), samples.end(),
                                      [](const auto& other) { return !other.has_output(); });
    if (live && waiting != samples.end()) {
      *waiting = sample;
    } else {
      *samples.Add() = sample;
    }
  });
}

bool LeaseKeeper::Flush(absl::Duration limit) {
  std::unique_lock lock(mutex_);
  ++flushing_;
  changed_.notify_all();
  const bool done = changed_.wait_for(lock, absl::ToChronoNanoseconds(limit),
                                      [this] { return lost_ || (!has_news_ && !unconfirmed_); });
  --flushing_;
  return done;
}

bool LeaseKeeper::lost() const {
  std::lock_guard lock(mutex_);
  return lost_;
}

bool LeaseKeeper::cancel_requested() const {
  std::lock_guard lock(mutex_);
  return cancel_requested_;
}

bool LeaseKeeper::release_requested() const {
  std::lock_guard lock(mutex_);
  return release_requested_;
}

void LeaseKeeper::Run() {
  while (AwaitNextBeat()) Beat();
  EndIfItHangs();
}

void LeaseKeeper::EndIfItHangs() {
  std::unique_lock lock(mutex_);
  const auto limit = absl::ToChronoNanoseconds(hang_limit_);
  if (changed_.wait_for(lock, limit, [this] { return stopping_; })) return;
  LogError("the lease is lost and the job does not stop: this worker hangs and is ended");
  std::_Exit(1);
}

bool LeaseKeeper::AwaitNextBeat() {
  std::unique_lock lock(mutex_);
  const auto over = [this] { return stopping_ || lost_; };
  const auto now = std::chrono::steady_clock::now();
  const auto after = [now](absl::Duration time) { return now + absl::ToChronoNanoseconds(time); };
  if (failures_ > 0) {
    changed_.wait_until(lock, after(RetryPause(failures_, interval_)), over);
  } else {
    changed_.wait_until(lock, after(std::min(interval_, kNewsInterval)),
                        [&] { return over() || (has_news_ && flushing_ > 0); });
    changed_.wait_until(lock, after(interval_), [&] { return over() || has_news_; });
  }
  return !stopping_ && !lost_;
}

void LeaseKeeper::Beat() {
  v1::HeartbeatRequest request;
  {
    std::lock_guard lock(mutex_);
    // The answer may have been lost alone: what is sent again has the same number, so that the
    // server can tell. What has come since waits.
    if (!unconfirmed_) {
      sending_.Swap(&news_);
      news_.Clear();
      has_news_ = false;
      unconfirmed_ = true;
      sending_.set_sequence(++sequence_);
      MakeUtf8(sending_);
    }
    sending_.set_lease_token(token_);
    request = sending_;
  }
  grpc::ClientContext context;
  PrepareCall(context, std::max(interval_, absl::Seconds(5)));
  v1::HeartbeatResponse response;
  const absl::Status status = FromGrpcStatus(stub_.Heartbeat(&context, request, &response));
  Settle(status, response);
  changed_.notify_all();
}

void LeaseKeeper::Settle(const absl::Status& status, const v1::HeartbeatResponse& response) {
  std::lock_guard lock(mutex_);
  if (ServerIsAway(status)) {
    if (++failures_ == 1) LogWarning("heartbeat failed", {{"error", status}});
    return;
  }
  if (failures_ > 0) LogInfo("heartbeats arrive again", {{"failed", failures_}});
  failures_ = 0;
  unconfirmed_ = false;
  sending_.Clear();
  if (status.ok()) {
    cancel_requested_ = cancel_requested_ || response.cancel_requested();
    release_requested_ = release_requested_ || response.release_requested();
  } else if (absl::IsAborted(status)) {
    lost_ = true;
  } else {
    // The news were refused, the lease was not: go on without them.
    LogError("heartbeat refused", {{"error", status}});
  }
}

}  // namespace likeness
