#include "server/api/front.h"

#include <memory>
#include <utility>

#include "common/logging.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/api/pump.h"
#include "server/api/unknown_fields.h"

namespace likeness::server {
namespace {

absl::Status Overloaded() {
  return RpcError(absl::StatusCode::kUnavailable, "OVERLOADED",
                  "too many calls are waiting; try again later");
}

class LongPollReactor : public grpc::ServerUnaryReactor {
 public:
  LongPollReactor(Front& front, grpc::CallbackServerContext* context, CallInfo call,
                  const google::protobuf::Message& request, LongPoll poll)
      : front_(front),
        context_(context),
        call_(call),
        poll_(std::move(poll)),
        checked_(front.CheckRequest(request)),
        deadline_(call.start + poll_.timeout),
        pump_(Pump::Create(front.executor(), [this] { Turn(); })) {
    auto wake = [pump = pump_] { pump->Wake(); };
    changes_ = front_.feed().Subscribe(poll_.topic, wake);
    drain_ = front_.feed().Subscribe(ChangeFeed::kDrain, wake);
    pump_->Wake();
  }

  void OnCancel() override { pump_->Wake(); }
  void OnDone() override { delete this; }

 private:
  void Turn() {
    if (!checked_.ok()) return End(checked_);
    if (context_->IsCancelled()) return End(absl::CancelledError("the client went away"));
    if (front_.draining()) return End(Front::Draining());
    const absl::Time now = absl::Now();
    auto ready = poll_.attempt(front_.CallerOf(*context_), now >= deadline_);
    if (!ready.ok()) return End(ready.status());
    if (*ready || now >= deadline_) return End(absl::OkStatus());
    pump_->WakeAfter(deadline_ - now);
  }

  void End(const absl::Status& status) {
    pump_->Stop();
    front_.Record(call_, status);
    Finish(ToGrpcStatus(status));  // this may be gone from here on
  }

  Front& front_;
  grpc::CallbackServerContext* const context_;
  const CallInfo call_;
  const LongPoll poll_;
  const absl::Status checked_;
  const absl::Time deadline_;
  const std::shared_ptr<Pump> pump_;
  ChangeFeed::Subscription changes_;
  ChangeFeed::Subscription drain_;
};

}  // namespace

grpc::ServerUnaryReactor* Front::Respond(grpc::CallbackServerContext* context, const char* method,
                                         const google::protobuf::Message& request,
                                         std::function<absl::Status(const Caller&)> body) {
  auto* reactor = context->DefaultReactor();
  const CallInfo call{method};
  auto answer = [this, context, reactor, call, &request, body = std::move(body)] {
    absl::Status status = CheckRequest(request);
    if (status.ok()) status = body(CallerOf(*context));
    Record(call, status);
    reactor->Finish(ToGrpcStatus(status));
  };
  if (!executor_.TryRun(std::move(answer))) {
    Record(call, Overloaded());
    reactor->Finish(ToGrpcStatus(Overloaded()));
  }
  return reactor;
}

grpc::ServerUnaryReactor* Front::RespondWhenReady(grpc::CallbackServerContext* context,
                                                  const char* method,
                                                  const google::protobuf::Message& request,
                                                  LongPoll poll) {
  return new LongPollReactor(*this, context, CallInfo{method}, request, std::move(poll));
}

absl::Status Front::CheckRequest(const google::protobuf::Message& request) const {
  return RefuseUnknownFields(request);
}

void Front::Record(const CallInfo& call, const absl::Status& status) {
  const absl::Duration took = absl::Now() - call.start;
  metrics_.ObserveRpc(call.method, status.code(), took);
  if (status.ok()) return;
  const LogFields fields = {{"method", call.method},
                            {"code", absl::StatusCodeToString(status.code())},
                            {"reason", ErrorReason(status)},
                            {"error", status.message()},
                            {"seconds", absl::ToDoubleSeconds(took)}};
  const bool ours =
      absl::IsInternal(status) || absl::IsDataLoss(status) || absl::IsResourceExhausted(status);
  ours ? LogError("call failed", fields) : LogInfo("call refused", fields);
}

void Front::Drain() {
  draining_ = true;
  feed_.Publish(ChangeFeed::kDrain);
}

absl::Status Front::Draining() {
  return RpcError(absl::StatusCode::kUnavailable, "SERVER_DRAINING",
                  "the server is about to stop; connect again and resume");
}

}  // namespace likeness::server
