// A method that takes one message and answers with one that may have to be waited for.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/clock.h"
#include "server/api/call_reactor.h"
#include "server/api/lease_queue.h"
#include "server/api/pump.h"

namespace likeness::server {

struct LongPoll {
  absl::Duration timeout;
  // When to look again: whenever this topic of the ChangeFeed has news, or, without one, when it is
  // the turn of a worker with this offer.
  std::string topic{};
  std::string offer{};
  // Whether the answer is ready. When the time is up, it is sent as it is.
  std::function<absl::StatusOr<bool>(Caller&)> attempt;
};

template <typename Request, typename Reply>
class LongPollCall final : public CallReactor {
 public:
  using Open = std::function<LongPoll(grpc::ServerContext*, const Request*, Reply*)>;

  LongPollCall(Front& front, Rpc& rpc, const char* method, Pool pool, const Open& open)
      : CallReactor(front, rpc, method, pool),
        open_(open),
        pump_(Pump::Create(executor(), lane(), [this] { Turn(); })) {}

  void OnCancel() override { pump_->Wake(); }

 private:
  void Received(bool) override {
    received_ = true;
    pump_->Wake();
  }

  void Turn() {
    const CallScope scope(call_);
    if (!received_) {
      if (context_->IsCancelled()) Conclude(absl::CancelledError("the client went away"));
      return;
    }
    if (!poll_) {
      if (auto parsed = Parse(&request_); !parsed.ok()) return Conclude(parsed);
      poll_ = open_(context_, &request_, &reply_);
      deadline_ = call_.start + poll_->timeout;
      Subscribe();
    }
    if (auto goes_on = CheckGoesOn(); !goes_on.ok()) return Conclude(goes_on);
    const auto note = front_.NoteFor(call_, caller_);
    const absl::Time now = SteadyNow();
    if (turn_) turn_->Begin();
    auto ready = poll_->attempt(*caller_);
    if (turn_) turn_->End(ready.value_or(true));
    if (!ready.ok()) return Conclude(ready.status());
    if (*ready || now >= deadline_) return Conclude(absl::OkStatus());
    pump_->WakeAfter(deadline_ - now);
  }

  // Before the first look, so that no change falls between.
  void Subscribe() {
    auto wake = [pump = pump_] { pump->Wake(); };
    if (poll_->topic.empty()) {
      turn_ = front_.lease_queue().Join(poll_->offer, wake);
    } else {
      changes_ = front_.feed().Subscribe(poll_->topic, wake);
    }
    drain_ = front_.feed().Subscribe(ChangeFeed::kDrain, wake);
  }

  void Conclude(const absl::Status& status) {
    pump_->Stop();
    turn_.reset();  // another's from now on
    End(status, &reply_);
  }

  const Open& open_;  // of the method, which outlives every call
  const std::shared_ptr<Pump> pump_;
  std::atomic<bool> received_ = false;
  Request request_;
  Reply reply_;
  std::optional<LongPoll> poll_;
  absl::Time deadline_;
  ChangeFeed::Subscription changes_;
  ChangeFeed::Subscription drain_;
  std::unique_ptr<LeaseQueue::Turn> turn_;
};

}  // namespace likeness::server
