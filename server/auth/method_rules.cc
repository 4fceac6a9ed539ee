#include "server/auth/method_rules.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"

namespace likeness::server {
namespace {

constexpr Roles kReaders = {Role::kRead, Role::kAdmin};
constexpr Roles kSubmitters = {Role::kSubmit, Role::kAdmin};
constexpr Roles kAdmins = {Role::kAdmin};
constexpr Roles kWorkers = {Role::kWorker};
constexpr Roles kOperators = {Role::kOperator};

constexpr bool kChanges = true;
constexpr bool kEach = true;
constexpr double kCreates = 5;  // what is checked, stored and worked on

}  // namespace

const std::vector<MethodRule>& MethodRules() {
  static const auto& rules = *new std::vector<MethodRule>{
      // JobService
      {"CreateJob", kSubmitters, kChanges, kCreates},
      {"GetJob", kReaders},
      {"ListJobs", kReaders},
      {"UpdateJob", kSubmitters, kChanges},
      {"CancelJob", kSubmitters, kChanges},
      {"CancelJobs", kSubmitters, kChanges, kCreates, kEach},
      {"DeleteJobs", kAdmins, kChanges, kCreates, kEach},
      {"ListJobEvents", kReaders},
      {"RetryJob", kSubmitters, kChanges, kCreates},
      {"DeleteJob", kAdmins, kChanges},
      {"EraseJob", kAdmins, kChanges},
      {"WaitJob", kReaders},
      {"WatchJob", kReaders},
      {"WatchJobs", kReaders},
      {"GenerateImages", kSubmitters, kChanges, kCreates},
      // ModelService
      {"ListModels", kReaders},
      {"GetModel", kReaders},
      {"UpdateModel", kSubmitters, kChanges},
      {"DeleteModel", kAdmins, kChanges},
      {"EraseModel", kAdmins, kChanges},
      {"ListBaseModels", Roles::All()},
      {"GetBaseModel", Roles::All()},
      // CapabilitiesService
      {"GetCapabilities", Roles::All()},
      // BlobService and ByteStream. Workers move blobs under a lease of theirs alone.
      {"FindMissingBlobs", kSubmitters},
      {"GetBlob", {Role::kSubmit, Role::kRead, Role::kAdmin}},
      {"CreateUpload", kSubmitters, kChanges},
      {"UploadPart", kSubmitters, kChanges},
      {"CompleteUpload", kSubmitters, kChanges},
      {"Read", {Role::kRead, Role::kAdmin, Role::kWorker}},
      {"Write", {Role::kSubmit, Role::kAdmin, Role::kWorker}, kChanges},
      {"QueryWriteStatus", {Role::kSubmit, Role::kAdmin, Role::kWorker}},
      // WorkerService
      {"AcquireLease", kWorkers, kChanges},
      {"Heartbeat", kWorkers},
      {"CompleteLease", kWorkers, kChanges},
      {"FailLease", kWorkers, kChanges},
      {"ReleaseLease", kWorkers, kChanges},
      // OperatorService
      {"ListWorkers", kOperators},
      {"DrainWorker", kOperators, kChanges},
      {"UndrainWorker", kOperators, kChanges},
      {"GetQueue", kOperators},
      {"GetUsage", {Role::kAdmin, Role::kOperator}},
  };
  return rules;
}

const MethodRule* FindRule(absl::string_view method) {
  const auto& rules = MethodRules();
  const auto rule = std::find_if(rules.begin(), rules.end(),
                                 [&](const MethodRule& known) { return known.method == method; });
  return rule == rules.end() ? nullptr : &*rule;
}

absl::Status CheckMayCall(const Caller& caller, absl::string_view method) {
  const MethodRule* rule = FindRule(method);
  const Roles needed = rule ? rule->roles : Roles();
  if (caller.roles.HasAnyOf(needed)) return absl::OkStatus();
  return RpcError(
      absl::StatusCode::kPermissionDenied, "ROLE_MISSING",
      absl::StrCat(method, " needs the role ", ToString(needed, " or "), "; the caller has ",
                   caller.roles.empty() ? "none" : ToString(caller.roles, ", ")),
      {{"method", std::string(method)}, {"roles", ToString(needed, ",")}});
}

}  // namespace likeness::server
