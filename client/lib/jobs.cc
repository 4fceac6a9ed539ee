#include "client/lib/jobs.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/match.h"
#include "client/lib/unary_call.h"
#include "common/ids.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "common/utf8.h"

namespace likeness::client {
namespace {

constexpr std::chrono::seconds kCreateDeadline{120};   // up to 32 MiB of photos travel with it
constexpr std::chrono::seconds kErasureDeadline{120};  // thousands of files may belong to a model
constexpr int kPageSize = 200;

}  // namespace

absl::StatusOr<v1::Job> CreateJob(const Connection& connection, v1::CreateJobRequest request,
                                  std::stop_token stop) {
  RETURN_IF_ERROR(CheckUtf8(request));
  if (request.request_id().empty()) request.set_request_id(RandomUuid());
  return Call<v1::Job>(kCreateDeadline, stop, [&](auto* context, auto* reply) {
    return connection.jobs().CreateJob(context, request, reply);
  });
}

absl::StatusOr<v1::Job> GetJob(const Connection& connection, const std::string& name) {
  v1::GetJobRequest request;
  request.set_name(name);
  RETURN_IF_ERROR(CheckUtf8(request));
  return Call<v1::Job>(kCallDeadline, connection.stop(), [&](auto* context, auto* reply) {
    return connection.jobs().GetJob(context, request, reply);
  });
}

absl::StatusOr<v1::Job> CancelJob(const Connection& connection, const std::string& name) {
  v1::CancelJobRequest request;
  request.set_name(name);
  RETURN_IF_ERROR(CheckUtf8(request));
  return Call<v1::Job>(kCallDeadline, connection.stop(), [&](auto* context, auto* reply) {
    return connection.jobs().CancelJob(context, request, reply);
  });
}

absl::StatusOr<v1::Job> RetryJob(const Connection& connection, const std::string& name) {
  v1::RetryJobRequest request;
  request.set_name(name);
  RETURN_IF_ERROR(CheckUtf8(request));
  return Call<v1::Job>(kCallDeadline, connection.stop(), [&](auto* context, auto* reply) {
    return connection.jobs().RetryJob(context, request, reply);
  });
}

absl::Status DeleteJob(const Connection& connection, const std::string& name) {
  v1::DeleteJobRequest request;
  request.set_name(name);
  RETURN_IF_ERROR(CheckUtf8(request));
  return Call<google::protobuf::Empty>(kCallDeadline, connection.stop(),
                                       [&](auto* context, auto* reply) {
                                         return connection.jobs().DeleteJob(context, request,
                                                                            reply);
                                       })
      .status();
}

absl::StatusOr<std::vector<v1::JobEvent>> ListJobEvents(const Connection& connection,
                                                        const std::string& name) {
  std::vector<v1::JobEvent> events;
  v1::ListJobEventsRequest request;
  request.set_parent(name);
  request.set_page_size(kPageSize);
  RETURN_IF_ERROR(CheckUtf8(request));
  do {
    ASSIGN_OR_RETURN(const auto page,
                     Call<v1::ListJobEventsResponse>(
                         kCallDeadline, connection.stop(), [&](auto* context, auto* reply) {
                           return connection.jobs().ListJobEvents(context, request, reply);
                         }));
    events.insert(events.end(), page.events().begin(), page.events().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return events;
}

absl::StatusOr<v1::ListJobsResponse> ListJobs(const Connection& connection,
                                              const ListOptions& options) {
  v1::ListJobsResponse all;
  do {
    v1::ListJobsRequest request;
    request.set_filter(options.filter);
    request.set_order_by(options.order_by);
    request.set_page_size(std::min(options.limit - all.jobs_size(), kPageSize));
    request.set_page_token(all.next_page_token());
    RETURN_IF_ERROR(CheckUtf8(request));
    ASSIGN_OR_RETURN(auto page, Call<v1::ListJobsResponse>(kCallDeadline, connection.stop(),
                                                           [&](auto* context, auto* reply) {
                                                             return connection.jobs().ListJobs(
                                                                 context, request, reply);
                                                           }));
    all.mutable_jobs()->MergeFrom(page.jobs());
    if (all.resume_token().empty()) all.set_resume_token(page.resume_token());
    all.set_next_page_token(page.next_page_token());
  } while (!all.next_page_token().empty() && all.jobs_size() < options.limit);
  return all;
}

absl::StatusOr<v1::ListModelsResponse> ListModels(const Connection& connection, int limit) {
  v1::ListModelsResponse all;
  do {
    v1::ListModelsRequest request;
    request.set_page_size(std::min(limit - all.models_size(), kPageSize));
    request.set_page_token(all.next_page_token());
    ASSIGN_OR_RETURN(auto page,
                     Call<v1::ListModelsResponse>(
                         kCallDeadline, connection.stop(), [&](auto* context, auto* reply) {
                           return connection.models().ListModels(context, request, reply);
                         }));
    all.mutable_models()->MergeFrom(page.models());
    all.set_next_page_token(page.next_page_token());
  } while (!all.next_page_token().empty() && all.models_size() < limit);
  return all;
}

absl::StatusOr<v1::Model> GetModel(const Connection& connection, const std::string& name) {
  v1::GetModelRequest request;
  request.set_name(name);
  RETURN_IF_ERROR(CheckUtf8(request));
  return Call<v1::Model>(kCallDeadline, connection.stop(), [&](auto* context, auto* reply) {
    return connection.models().GetModel(context, request, reply);
  });
}

absl::Status DeleteModel(const Connection& connection, const std::string& name) {
  v1::DeleteModelRequest request;
  request.set_name(name);
  RETURN_IF_ERROR(CheckUtf8(request));
  return Call<google::protobuf::Empty>(kCallDeadline, connection.stop(),
                                       [&](auto* context, auto* reply) {
                                         return connection.models().DeleteModel(context, request,
                                                                                reply);
                                       })
      .status();
}

absl::StatusOr<v1::Erasure> Erase(const Connection& connection, const std::string& name) {
  v1::EraseModelRequest model;
  model.set_name(name);
  RETURN_IF_ERROR(CheckUtf8(model));
  v1::EraseJobRequest job;
  job.set_name(name);
  return Call<v1::Erasure>(kErasureDeadline, connection.stop(), [&](auto* context, auto* reply) {
    return absl::StrContains(name, "/models/")
               ? connection.models().EraseModel(context, model, reply)
               : connection.jobs().EraseJob(context, job, reply);
  });
}

absl::StatusOr<std::string> Tenant(const Connection& connection) {
  if (!connection.identified()) return std::string(kDefaultTenant);
  ASSIGN_OR_RETURN(const auto capabilities, GetCapabilities(connection));
  return capabilities.tenant().empty() ? std::string(kDefaultTenant) : capabilities.tenant();
}

absl::StatusOr<v1::Capabilities> GetCapabilities(const Connection& connection) {
  return Call<v1::Capabilities>(kCallDeadline, connection.stop(), [&](auto* context, auto* reply) {
    return connection.capabilities().GetCapabilities(context, {}, reply);
  });
}

}  // namespace likeness::client
