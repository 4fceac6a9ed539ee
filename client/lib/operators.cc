#include "client/lib/operators.h"

#include "absl/strings/str_cat.h"
#include "client/lib/unary_call.h"
#include "common/status_macros.h"
#include "common/utf8.h"

namespace likeness::client {
namespace {

constexpr int kPageSize = 200;

}  // namespace

absl::StatusOr<v1::ListWorkersResponse> ListWorkers(const Connection& connection) {
  v1::ListWorkersResponse all;
  v1::ListWorkersRequest request;
  request.set_page_size(kPageSize);
  do {
    ASSIGN_OR_RETURN(const auto page,
                     Call<v1::ListWorkersResponse>(
                         kCallDeadline, connection.stop(), [&](auto* context, auto* reply) {
                           return connection.operators().ListWorkers(context, request, reply);
                         }));
    all.mutable_workers()->MergeFrom(page.workers());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

absl::Status DrainWorker(const Connection& connection, const std::string& name, bool release_job) {
  v1::DrainWorkerRequest request;
  request.set_name(name);
  request.set_release_job(release_job);
  RETURN_IF_ERROR(CheckUtf8(request));
  return Call<v1::DrainWorkerResponse>(kCallDeadline, connection.stop(),
                                       [&](auto* context, auto* reply) {
                                         return connection.operators().DrainWorker(context, request,
                                                                                   reply);
                                       })
      .status();
}

absl::Status UndrainWorker(const Connection& connection, const std::string& name) {
  v1::UndrainWorkerRequest request;
  request.set_name(name);
  RETURN_IF_ERROR(CheckUtf8(request));
  return Call<v1::UndrainWorkerResponse>(kCallDeadline, connection.stop(),
                                         [&](auto* context, auto* reply) {
                                           return connection.operators().UndrainWorker(
                                               context, request, reply);
                                         })
      .status();
}

absl::StatusOr<v1::GetQueueResponse> GetQueue(const Connection& connection) {
  return Call<v1::GetQueueResponse>(kCallDeadline, connection.stop(),
                                    [&](auto* context, auto* reply) {
                                      return connection.operators().GetQueue(context, {}, reply);
                                    });
}

absl::StatusOr<v1::GetUsageResponse> GetUsage(const Connection& connection,
                                              const std::string& tenant, int days) {
  v1::GetUsageRequest request;
  if (!tenant.empty()) request.set_parent(absl::StrCat("tenants/", tenant));
  request.set_days(days);
  RETURN_IF_ERROR(CheckUtf8(request));
  return Call<v1::GetUsageResponse>(
      kCallDeadline, connection.stop(), [&](auto* context, auto* reply) {
        return connection.operators().GetUsage(context, request, reply);
      });
}

}  // namespace likeness::client
