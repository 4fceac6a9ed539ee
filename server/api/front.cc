#include "server/api/front.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "common/clock.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "common/shorten.h"
#include "common/status_macros.h"
#include "server/api/credentials.h"
#include "server/auth/method_rules.h"

namespace likeness::server {
namespace {

constexpr size_t kMaxResourceBytes = 300;

// "tenants/{tenant}" says no more than whose a change is.
bool NamesMoreThanATenant(absl::string_view resource) { return absl::c_count(resource, '/') > 1; }

}  // namespace

std::string Front::ResourceOf(const google::protobuf::Message& request) {
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

absl::StatusOr<Caller> Front::Identify(const grpc::ServerContext& context,
                                       const char* method) const {
  ASSIGN_OR_RETURN(const Credentials credentials, CredentialsOf(context));
  ASSIGN_OR_RETURN(Caller caller, gate_.authenticator.Identify(credentials));
  RETURN_IF_ERROR(CheckMayCall(caller, method));
  if (caller.is_worker()) caller.lease_token = LeaseTokenOf(context);
  caller.peer = PeerOf(context);
  return caller;
}

absl::StatusOr<Caller> Front::Admit(const grpc::ServerContext& context, const char* method) const {
  const absl::Time now = SteadyNow();
  auto caller = Identify(context, method);
  // A key that may not do this is a good key all the same.
  const bool good_key = caller.ok() || absl::IsPermissionDenied(caller.status());
  if (good_key && gate_.visitors && gate_.visitors->any()) gate_.visitors->Forget(context.peer());
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

absl::Status Front::Readmit(const grpc::ServerContext& context, const char* method,
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

absl::StatusOr<Front::Place> Front::Enter(const absl::StatusOr<Caller>& caller,
                                          absl::string_view method) {
  if (!caller.ok()) return caller.status();
  return under_way_.Enter(*caller, method);
}

CallInfo Front::Begin(const char* method, grpc::ServerContext& context) {
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
        const bool known = changed.empty() || NamesMoreThanATenant(caller->resource);
        const std::string& resource = known ? caller->resource : changed;
        // What a poll for a lease changes besides is no change of anybody's.
        if (resource.empty() || (*call.noted && !FindRule(call.method)->each)) return "";
        return ToLine(EntryFor(call, *caller, resource, absl::OkStatus()));
      },
      [&call] { *call.noted = true; });
}

absl::Status Front::CommitNote(const CallInfo& call, const Caller& caller) const {
  const bool missing = call.noted && !*call.noted && !caller.resource.empty();
  return missing && gate_.commit_note ? gate_.commit_note() : absl::OkStatus();
}

void Front::Record(const CallInfo& call, const absl::StatusOr<Caller>& caller,
                   const absl::Status& status) {
  const absl::Duration took = SteadyNow() - call.start;
  const std::string reason = ErrorReason(status);
  metrics_.ObserveRpc(call.method, status.code(), took);
  metrics_.ObserveRefusal(reason);
  const bool ours =
      absl::IsInternal(status) || absl::IsDataLoss(status) || reason == "STORAGE_FULL";
  if (ours) metrics_.ObserveFailure(call.method);
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
  ours ? LogError("call failed", fields) : LogInfo("call refused", fields);
}

absl::Status Front::Overloaded() {
  return RpcError(absl::StatusCode::kUnavailable, "OVERLOADED",
                  "too many calls are waiting; try again later");
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
