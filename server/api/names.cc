#include "server/api/names.h"

#include "absl/strings/str_cat.h"
#include "common/channel.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/jobs/transitions.h"

namespace likeness::server {
namespace {

// A job or model of before version 1.0 may have this ID; DeleteJobs and retention reach it.
absl::Status CheckNamesOne(absl::string_view id) {
  if (id != "-") return absl::OkStatus();
  return InvalidField("name", "has the ID \"-\", which stands for any resource (AIP-159)",
                      "INVALID_NAME");
}

}  // namespace

absl::StatusOr<JobName> OwnJob(absl::string_view name, const Caller& caller) {
  ASSIGN_OR_RETURN(JobName job, ParseJobName(name));
  RETURN_IF_ERROR(CheckNamesOne(job.id));
  if (job.tenant != caller.tenant) {
    return RpcError(absl::StatusCode::kNotFound, "JOB_NOT_FOUND",
                    absl::StrCat("there is no job ", job.ToString()),
                    {{"resource", job.ToString()}});
  }
  return job;
}

absl::StatusOr<ModelName> OwnModel(absl::string_view name, const Caller& caller) {
  ASSIGN_OR_RETURN(ModelName model, ParseModelName(name));
  RETURN_IF_ERROR(CheckNamesOne(model.id));
  if (model.tenant != caller.tenant) {
    return RpcError(absl::StatusCode::kNotFound, "MODEL_NOT_FOUND",
                    absl::StrCat("there is no personalized model ", model.ToString()),
                    {{"resource", model.ToString()}});
  }
  return model;
}

absl::StatusOr<std::string> OwnParent(absl::string_view parent, const Caller& caller) {
  if (parent.empty()) return caller.tenant;
  ASSIGN_OR_RETURN(std::string tenant, ParseParent(parent));
  if (tenant != caller.tenant) {
    return RpcError(absl::StatusCode::kNotFound, "TENANT_NOT_FOUND",
                    absl::StrCat("there is no tenant \"", tenant, "\""));
  }
  return tenant;
}

absl::StatusOr<std::string> BlobTenant(const Caller& caller, JobStore& jobs) {
  if (!caller.is_worker()) return caller.tenant;
  if (caller.lease_token.empty()) {
    return RpcError(absl::StatusCode::kPermissionDenied, "LEASE_MISSING",
                    absl::StrCat("a worker moves blobs under a lease: metadata ", kLeaseMetadata,
                                 ", the lease token"));
  }
  ASSIGN_OR_RETURN(const LeasedJob leased, jobs.FindLease(caller.lease_token));
  if (!leased.live) return LeaseLost();
  return leased.name.tenant;
}

}  // namespace likeness::server
