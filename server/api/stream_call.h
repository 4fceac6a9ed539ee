// A server stream pulled from a source: one message is asked for when the one before was taken by
// the network, so a client that does not read costs no memory.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "common/rpc_error.h"
#include "server/api/call_reactor.h"
#include "server/api/pump.h"

namespace likeness::server {

enum class Pulled {
  kMessage,  // *message is to be sent
  kNothing,  // nothing yet: ask again after a wake-up, or after `patience`
  kEnd,      // the stream ends well
};

// Called from one thread at a time, on the executor; may block.
template <typename Message>
class StreamSource {
 public:
  virtual ~StreamSource() = default;
  // An error ends the stream.
  virtual absl::StatusOr<Pulled> Next(Message* message) = 0;
  // The client went away before the end.
  virtual void ClientGone() {}
  // Whether a drain of the server cuts the stream short.
  virtual bool ends_on_drain() const { return true; }
  // How long at most until it is asked again when it had nothing.
  virtual absl::Duration patience() const { return absl::InfiniteDuration(); }
};

template <typename Request, typename Message>
class StreamCall final : public CallReactor {
 public:
  // `wake` makes the stream ask its source again.
  using Open = std::function<absl::StatusOr<std::unique_ptr<StreamSource<Message>>>(
      Caller&, const Request*, std::function<void()> wake)>;

  StreamCall(Front& front, Rpc& rpc, const char* method, Pool pool, const Open& open)
      : CallReactor(front, rpc, method, pool),
        open_(open),
        pump_(Pump::Create(executor(), lane(), [this] { Turn(); })) {}

  void OnWriteDone(bool ok) override {
    broken_ = !ok;
    writing_ = false;
    pump_->Wake();
  }
  void OnCancel() override { pump_->Wake(); }

 private:
  void Received(bool) override {
    received_ = true;
    pump_->Wake();
  }

  void Turn() {
    const CallScope scope(call_);
    if (writing_) return;  // OnWriteDone wakes us
    if (broken_ || context_->IsCancelled()) {
      // Cancelled by the server's own end, the client is still there.
      if (source_ && !front_.draining()) source_->ClientGone();
      return Conclude(absl::CancelledError("the client went away"));
    }
    if (!received_) return;
    const auto note = front_.NoteFor(call_, caller_);
    if (!source_) {
      if (auto opened = OpenIt(); !opened.ok()) return Conclude(opened);
    } else if (auto may = front_.Readmit(*context_, call_.method, *caller_); !may.ok()) {
      return Conclude(may);
    }
    if (front_.draining() && source_->ends_on_drain()) return Conclude(Front::Draining());
    auto pulled = source_->Next(&message_);
    if (!pulled.ok()) return Conclude(pulled.status());
    switch (*pulled) {
      case Pulled::kMessage:
        writing_ = true;
        Write(message_);
        return;
      case Pulled::kNothing:
        if (source_->patience() != absl::InfiniteDuration()) pump_->WakeAfter(source_->patience());
        return;
      case Pulled::kEnd:
        return Conclude(absl::OkStatus());
    }
  }

  absl::Status OpenIt() {
    if (auto parsed = Parse(&request_); !parsed.ok()) return parsed;
    auto wake = [pump = pump_] { pump->Wake(); };
    drain_ = front_.feed().Subscribe(ChangeFeed::kDrain, wake);
    auto source = open_(*caller_, &request_, wake);
    if (!source.ok()) return source.status();
    source_ = *std::move(source);
    return absl::OkStatus();
  }

  void Conclude(const absl::Status& status) {
    pump_->Stop();
    End(status);
  }

  const Open& open_;  // of the method, which outlives every call
  const std::shared_ptr<Pump> pump_;
  Request request_;
  ChangeFeed::Subscription drain_;
  std::unique_ptr<StreamSource<Message>> source_;
  Message message_;
  std::atomic<bool> received_ = false;
  std::atomic<bool> writing_ = false;
  std::atomic<bool> broken_ = false;
};

}  // namespace likeness::server
