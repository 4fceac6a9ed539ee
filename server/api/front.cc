#include "server/api/front.h"

#include <memory>
#include <utility>

#include "common/clock.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "common/shorten.h"
#include "common/status_macros.h"
#include "server/api/credentials.h"
#include "server/api/pump.h"
#include "server/api/unknown_fields.h"
#include "server/auth/method_rules.h"

namespace likeness::server {
namespace {

absl::Status Overloaded() {
  return RpcError(absl::StatusCode::kUnavailable, "OVERLOADED",
                  "too many calls are waiting; try again later");
}

constexpr size_t kMaxResourceBytes = 300;

// The resource that a request names, if it names one.
std::string ResourceOf(const google::protobuf::Message& request) {
  for (const char* name : {"name", "resource_name"}) {
    const auto* field = request.GetDescriptor()->FindFieldByName(name);
    if (field == nullptr || field->is_repeated()) continue;
    // One that is too long to be right is not copied about.
    std::string scratch;
    return Shorten(request.GetReflection()->GetStringReference(request, field, &scratch),
                   kMaxResourceBytes);
  }
  return "";
}

class LongPollReactor : public grpc::ServerUnaryReactor {
 public:
  LongPollReactor(Front& front, grpc::CallbackServerContext* context, const char* method,
                  const google::protobuf::Message& request, LongPoll poll)
      : front_(front),
        context_(context),
        call_(front.Begin(method, *context)),
        caller_(front.Admit(*context, method)),
        poll_(std::move(poll)),
        checked_(front.CheckRequest(request)),
        deadline_(call_.start + poll_.timeout),
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
    const CallScope scope(call_);
    if (!caller_.ok()) return End(caller_.status());
    if (!checked_.ok()) return End(checked_);
    if (context_->IsCancelled()) return End(absl::CancelledError("the client went away"));
    if (front_.draining()) return End(Front::Draining());
    if (auto may = front_.Readmit(*context_, call_.method, *caller_); !may.ok()) return End(may);
    const auto note = front_.NoteFor(call_, caller_);
    const absl::Time now = SteadyNow();
    auto ready = poll_.attempt(*caller_, now >= deadline_);
    if (!ready.ok()) return End(ready.status());
    if (*ready || now >= deadline_) return End(absl::OkStatus());
    pump_->WakeAfter(deadline_ - now);
  }

  void End(const absl::Status& status) {
    pump_->Stop();
    front_.Record(call_, caller_, status);
    Finish(ToGrpcStatus(status));  // this may be gone from here on
  }

  Front& front_;
  grpc::CallbackServerContext* const context_;
  const CallInfo call_;
  absl::StatusOr<Caller> caller_;
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
                                         std::function<absl::Status(Caller&)> body) {
  auto* reactor = context->DefaultReactor();
  const CallInfo call = Begin(method, *context);
  const auto end = [this, reactor, call](const absl::StatusOr<Caller>& caller,
                                         const absl::Status& status) {
    const CallScope scope(call);
    Record(call, caller, status);
    reactor->Finish(ToGrpcStatus(status));
  };
  auto caller = Admit(*context, method);
  if (!caller.ok()) {
    end(caller, caller.status());
    return reactor;
  }
  auto answer = [this, end, call, &request, caller, body = std::move(body)]() mutable {
    const CallScope scope(call);
    caller->resource = ResourceOf(request);
    absl::Status status = CheckRequest(request);
    if (status.ok()) {
      const auto note = NoteFor(call, caller);
      status = body(*caller);
    }
    end(caller, status);
  };
  if (!executor_.TryRun(std::move(answer))) end(caller, Overloaded());
  return reactor;
}

grpc::ServerUnaryReactor* Front::RespondWhenReady(grpc::CallbackServerContext* context,
                                                  const char* method,
                                                  const google::protobuf::Message& request,
                                                  LongPoll poll) {
  return new LongPollReactor(*this, context, method, request, std::move(poll));
}

absl::StatusOr<Caller> Front::Identify(const grpc::CallbackServerContext& context,
                                       const char* method) const {
  ASSIGN_OR_RETURN(const Credentials credentials, CredentialsOf(context));
  ASSIGN_OR_RETURN(Caller caller, gate_.authenticator.Identify(credentials));
  RETURN_IF_ERROR(CheckMayCall(caller, method));
  if (caller.is_worker()) caller.lease_token = LeaseTokenOf(context);
  caller.peer = PeerOf(context);
  return caller;
}

absl::StatusOr<Caller> Front::Admit(const grpc::CallbackServerContext& context,
                                    const char* method) const {
  const absl::Time now = SteadyNow();
  auto caller = Identify(context, method);
  if (absl::IsUnauthenticated(caller.status())) {
    RETURN_IF_ERROR(gate_.limits.CheckFailure(PeerOf(context), now));
  }
  if (!caller.ok() || caller->is_worker()) return caller;
  const auto limit = gate_.authenticator.LimitsOf(caller->tenant).calls;
  if (limit) {
    RETURN_IF_ERROR(gate_.limits.CheckRate(caller->tenant, *limit, FindRule(method)->cost, now));
  }
  return caller;
}

absl::Status Front::Readmit(const grpc::CallbackServerContext& context, const char* method,
                            Caller& caller) const {
  if (gate_.authenticator.StillHolds(caller)) return absl::OkStatus();
  ASSIGN_OR_RETURN(Caller now, Identify(context, method));
  if (now.tenant != caller.tenant) {
    return RpcError(absl::StatusCode::kUnauthenticated, "TOKEN_INVALID",
                    "the token is another tenant's now");
  }
  now.resource = caller.resource;
  caller = std::move(now);
  return absl::OkStatus();
}

absl::Status Front::CheckRequest(const google::protobuf::Message& request) const {
  return RefuseUnknownFields(request);
}

CallInfo Front::Begin(const char* method, grpc::CallbackServerContext& context) {
  metrics_.RpcBegins(method);
  CallInfo call(method, context);
  if (gate_.audit && FindRule(method)->changes) {
    call.noted = std::make_shared<std::atomic<bool>>(false);
  }
  return call;
}

AuditEntry Front::EntryFor(const CallInfo& call, const Caller& caller, absl::string_view resource,
                           const absl::Status& status) {
  return {.time = absl::Now(),
          .caller = caller.id,
          .tenant = caller.tenant,
          .peer = caller.peer,
          .method = call.method,
          .resource = std::string(resource),
          .code = absl::StatusCodeToString(status.code()),
          .reason = ErrorReason(status)};
}

std::optional<AuditNote> Front::NoteFor(const CallInfo& call,
                                        const absl::StatusOr<Caller>& caller) const {
  if (!call.noted || !caller.ok()) return std::nullopt;
  return std::optional<AuditNote>(
      std::in_place,
      [&call, &caller](const std::string& changed) -> std::string {
        const std::string& resource = changed.empty() ? caller->resource : changed;
        // What a poll for a lease changes besides is no change of anybody's.
        if (resource.empty() || *call.noted) return "";
        return ToLine(EntryFor(call, *caller, resource, absl::OkStatus()));
      },
      [&call] { *call.noted = true; });
}

void Front::Record(const CallInfo& call, const absl::StatusOr<Caller>& caller,
                   const absl::Status& status) {
  const absl::Duration took = SteadyNow() - call.start;
  const std::string reason = ErrorReason(status);
  metrics_.ObserveRpc(call.method, status.code(), took);
  metrics_.ObserveRefusal(reason);
  // A lease that was not there is no change.
  const bool changes = call.noted && caller.ok() && !caller->resource.empty();
  if (changes && !(status.ok() && *call.noted)) {
    gate_.audit->Write(EntryFor(call, *caller, caller->resource, status));
  }
  if (status.ok()) {
    LogDebug("call", {{"method", call.method}, {"seconds", absl::ToDoubleSeconds(took)}});
    return;
  }
  if (reason == "RATE_LIMITED" || reason == "TOO_MANY_FAILURES") return;
  const LogFields fields = {{"method", call.method},
                            {"code", absl::StatusCodeToString(status.code())},
                            {"reason", reason},
                            {"error", status.message()},
                            {"seconds", absl::ToDoubleSeconds(took)}};
  const bool ours =
      absl::IsInternal(status) || absl::IsDataLoss(status) || reason == "STORAGE_FULL";
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
