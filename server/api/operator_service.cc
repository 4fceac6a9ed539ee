#include "server/api/operator_service.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/api/names.h"
#include "server/api/paging.h"
#include "server/api/worker_checks.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

constexpr int kMostGroups = 1000;
constexpr int kMostDays = 62, kDefaultDays = 30;
constexpr char kWorkersPage[] = "workers";

absl::StatusOr<std::string> ParseWorker(absl::string_view name) {
  absl::string_view worker = name;
  if (absl::ConsumePrefix(&worker, "workers/") && IsWorkerName(worker)) return std::string(worker);
  return InvalidField("name",
                      absl::StrCat("\"", name,
                                   "\" is not of the form workers/{worker}, with 1 to "
                                   "128 letters, digits, '.', '_' and '-' after the slash"),
                      "INVALID_NAME");
}

absl::StatusOr<int> DaysOf(const v1::GetUsageRequest& request) {
  if (request.days() < 0 || request.days() > kMostDays) {
    return InvalidField("days",
                        absl::StrCat("is ", request.days(), "; 0 to ", kMostDays, " is allowed"),
                        "OUT_OF_RANGE");
  }
  return request.days() == 0 ? kDefaultDays : request.days();
}

// The caller's own tenant; for operators any.
absl::StatusOr<std::string> UsedBy(absl::string_view parent, const Caller& caller) {
  if (parent.empty() || !caller.roles.Has(Role::kOperator)) return OwnParent(parent, caller);
  return ParseParent(parent);
}

}  // namespace

void OperatorServiceImpl::AddTo(MethodTable& methods) {
  const char* service = v1::OperatorService::service_full_name();
  methods.AddUnary(service, "ListWorkers", this, &OperatorServiceImpl::ListWorkers,
                   Pool::kSearches);
  methods.AddUnary(service, "DrainWorker", this, &OperatorServiceImpl::DrainWorker);
  methods.AddUnary(service, "UndrainWorker", this, &OperatorServiceImpl::UndrainWorker);
  methods.AddUnary(service, "GetQueue", this, &OperatorServiceImpl::GetQueue, Pool::kSearches);
  methods.AddUnary(service, "GetUsage", this, &OperatorServiceImpl::GetUsage);
}

absl::Status OperatorServiceImpl::ListWorkers(Caller&, const v1::ListWorkersRequest* request,
                                              v1::ListWorkersResponse* reply) {
  ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
  ASSIGN_OR_RETURN(const auto after, OpenPageToken(signer_, kWorkersPage, request->page_token()));
  ASSIGN_OR_RETURN(auto workers, workers_.List(absl::Now()));
  const auto next = FillPage(std::move(workers), after, size, reply->mutable_workers());
  if (next) reply->set_next_page_token(signer_.Sign(kWorkersPage, *next));
  return absl::OkStatus();
}

absl::Status OperatorServiceImpl::DrainWorker(Caller& caller, const v1::DrainWorkerRequest* request,
                                              v1::DrainWorkerResponse*) {
  ASSIGN_OR_RETURN(const std::string worker, ParseWorker(request->name()));
  caller.resource = request->name();
  return workers_.Drain({worker, request->release_job()});
}

absl::Status OperatorServiceImpl::UndrainWorker(Caller& caller,
                                                const v1::UndrainWorkerRequest* request,
                                                v1::UndrainWorkerResponse*) {
  ASSIGN_OR_RETURN(const std::string worker, ParseWorker(request->name()));
  caller.resource = request->name();
  return workers_.Undrain(worker);
}

absl::Status OperatorServiceImpl::GetQueue(Caller&, const v1::GetQueueRequest*,
                                           v1::GetQueueResponse* reply) {
  ASSIGN_OR_RETURN(const auto groups, jobs_.QueueGroups(kMostGroups));
  for (const QueueGroup& group : groups) {
    v1::QueueGroup& shown = *reply->add_groups();
    shown.set_tenant(absl::StrCat("tenants/", group.tenant));
    shown.set_method(group.method);
    shown.set_base_model(group.base_model);
    shown.set_waiting_jobs(group.waiting);
    shown.set_scheduled_jobs(group.scheduled);
    if (group.oldest) *shown.mutable_oldest_wait() = ToProto(*group.oldest);
  }
  ASSIGN_OR_RETURN(const int64_t waiting, jobs_.CountWaiting());
  reply->set_waiting_jobs(waiting);
  return absl::OkStatus();
}

absl::Status OperatorServiceImpl::GetUsage(Caller& caller, const v1::GetUsageRequest* request,
                                           v1::GetUsageResponse* reply) {
  ASSIGN_OR_RETURN(const std::string tenant, UsedBy(request->parent(), caller));
  ASSIGN_OR_RETURN(const int days, DaysOf(*request));
  ASSIGN_OR_RETURN(const auto used, jobs_.Usage(tenant, days));
  for (const UsedDay& day : used) {
    v1::DailyUsage& shown = *reply->add_days();
    *shown.mutable_day() = ToProto(day.day);
    *shown.mutable_worker_duration() = ToProto(day.worker_time);
    shown.set_ended_jobs(day.ended_jobs);
  }
  reply->set_stored_bytes(blobs_.bytes_of(tenant));
  return absl::OkStatus();
}

}  // namespace likeness::server
