// The unary calls of the API: one function each. Errors carry google.rpc.ErrorInfo, see
// common/rpc_error.h.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/lib/connection.h"

namespace likeness::client {

// Creates a job, once, however often the call has to be repeated: a request id is drawn if
// `request` has none.
absl::StatusOr<v1::Job> CreateJob(const Connection& connection, v1::CreateJobRequest request,
                                  std::stop_token stop = {});

// `name` is tenants/{tenant}/jobs/{job}.
absl::StatusOr<v1::Job> GetJob(const Connection& connection, const std::string& name);
absl::StatusOr<v1::Job> CancelJob(const Connection& connection, const std::string& name);
absl::StatusOr<v1::Job> RetryJob(const Connection& connection, const std::string& name);
absl::Status DeleteJob(const Connection& connection, const std::string& name);

// The events of a job that the server still has, in their order.
absl::StatusOr<std::vector<v1::JobEvent>> ListJobEvents(const Connection& connection,
                                                        const std::string& name);

struct ListOptions {
  int limit = 20;
  std::string filter{};    // as in ListJobsRequest
  std::string order_by{};  // likewise; the newest first when empty
};

// The tenant that this connection speaks for: "default" unless the server was told who calls.
absl::StatusOr<std::string> Tenant(const Connection& connection);

// The first jobs of the caller's tenant, over as many pages as that takes; next_page_token is set
// if there are more, and resume_token is that of the first page.
absl::StatusOr<v1::ListJobsResponse> ListJobs(const Connection& connection,
                                              const ListOptions& options);

// The first `limit` personalized models of the caller's tenant by name, likewise.
absl::StatusOr<v1::ListModelsResponse> ListModels(const Connection& connection, int limit);

// `name` is tenants/{tenant}/models/{model}.
absl::StatusOr<v1::Model> GetModel(const Connection& connection, const std::string& name);
absl::Status DeleteModel(const Connection& connection, const std::string& name);

// A job or a model by its full name, and all that belongs to its subject (EraseJob, EraseModel).
absl::StatusOr<v1::Erasure> Erase(const Connection& connection, const std::string& name);

absl::StatusOr<v1::Capabilities> GetCapabilities(const Connection& connection);

}  // namespace likeness::client
