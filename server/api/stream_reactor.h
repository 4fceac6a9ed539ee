// A server stream pulled from a source: one message is asked for when the one before was taken by
// the network, so a client that does not read costs no memory.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "common/rpc_error.h"
#include "server/api/front.h"
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
};

// `wake` makes the stream ask its source again.
template <typename Message>
using OpenSource = std::function<absl::StatusOr<std::unique_ptr<StreamSource<Message>>>(
    Caller&, std::function<void()> wake)>;

template <typename Message>
class StreamReactor : public grpc::ServerWriteReactor<Message> {
 public:
  // `request` must live as long as the call, as gRPC's do.
  StreamReactor(Front& front, grpc::CallbackServerContext* context, const char* method,
                const google::protobuf::Message& request, OpenSource<Message> open,
                absl::Duration patience = absl::InfiniteDuration())
      : front_(front),
        context_(context),
        call_(front.Begin(method, *context)),
        caller_(front.Admit(*context, method)),
        request_(request),
        open_(std::move(open)),
        patience_(patience),
        pump_(Pump::Create(front.executor(), [this] { Turn(); })) {
    drain_ = front_.feed().Subscribe(ChangeFeed::kDrain, [pump = pump_] { pump->Wake(); });
    pump_->Wake();
  }

  void OnWriteDone(bool ok) override {
    broken_ = !ok;
    writing_ = false;
    pump_->Wake();
  }
  void OnCancel() override { pump_->Wake(); }
  void OnDone() override { delete this; }

 private:
  void Turn() {
    const CallScope scope(call_);
    if (writing_) return;  // OnWriteDone wakes us
    if (broken_ || context_->IsCancelled()) {
      // Cancelled by the server's own end, the client is still there.
      if (source_ && !front_.draining()) source_->ClientGone();
      return End(absl::CancelledError("the client went away"));
    }
    const auto note = front_.NoteFor(call_, caller_);
    if (!source_) {
      if (auto opened = Open(); !opened.ok()) return End(opened);
    } else if (auto may = front_.Readmit(*context_, call_.method, *caller_); !may.ok()) {
      return End(may);
    }
    if (front_.draining() && source_->ends_on_drain()) return End(Front::Draining());
    auto pulled = source_->Next(&message_);
    if (!pulled.ok()) return End(pulled.status());
    switch (*pulled) {
      case Pulled::kMessage:
        writing_ = true;
        this->StartWrite(&message_);
        return;
      case Pulled::kNothing:
        if (patience_ != absl::InfiniteDuration()) pump_->WakeAfter(patience_);
        return;
      case Pulled::kEnd:
        return End(absl::OkStatus());
    }
  }

  absl::Status Open() {
    if (!caller_.ok()) return caller_.status();
    if (auto checked = front_.CheckRequest(request_); !checked.ok()) return checked;
    auto source = open_(*caller_, [pump = pump_] { pump->Wake(); });
    if (!source.ok()) return source.status();
    source_ = *std::move(source);
    return absl::OkStatus();
  }

  void End(const absl::Status& status) {
    pump_->Stop();
    front_.Record(call_, caller_, status);
    this->Finish(ToGrpcStatus(status));  // this may be gone from here on
  }

  Front& front_;
  grpc::CallbackServerContext* const context_;
  const CallInfo call_;
  absl::StatusOr<Caller> caller_;
  const google::protobuf::Message& request_;
  const OpenSource<Message> open_;
  const absl::Duration patience_;
  const std::shared_ptr<Pump> pump_;
  ChangeFeed::Subscription drain_;
  std::unique_ptr<StreamSource<Message>> source_;
  Message message_;
  std::atomic<bool> writing_ = false;
  std::atomic<bool> broken_ = false;
};

}  // namespace likeness::server
