#include "server/api/job_service.h"

#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/api/generate_source.h"
#include "server/api/names.h"
#include "server/api/paging.h"
#include "server/api/watch_source.h"
#include "server/jobs/job_state.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

constexpr absl::Duration kDefaultWait = absl::Seconds(30);
constexpr absl::Duration kMaxWait = absl::Minutes(10);

absl::StatusOr<absl::Duration> WaitTimeout(const v1::WaitJobRequest& request) {
  if (!request.has_timeout()) return kDefaultWait;
  const absl::Duration timeout = FromProto(request.timeout());
  if (timeout < absl::ZeroDuration() || timeout > kMaxWait) {
    return InvalidField(
        "timeout",
        absl::StrCat("is ", absl::FormatDuration(timeout), "; 0 to 10 minutes is allowed"),
        "OUT_OF_RANGE");
  }
  return timeout;
}

// A page token is good for the list that it was given out for, and no other.
std::string PagePurpose(const std::string& tenant, const v1::ListJobsRequest& request) {
  return absl::StrCat("jobs ", tenant, " ", request.filter().size(), " ", request.filter(),
                      request.order_by());
}

std::optional<JobCursor> CursorFrom(const std::string& token) {
  const std::vector<std::string> parts = absl::StrSplit(token, '/');
  JobCursor cursor;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &cursor.value) ||
      !absl::SimpleAtoi(parts[1], &cursor.key)) {
    return std::nullopt;
  }
  return cursor;
}

}  // namespace

void JobServiceImpl::AddTo(MethodTable& methods) {
  const char* service = v1::JobService::service_full_name();
  methods.AddUnary(service, "CreateJob", this, &JobServiceImpl::CreateJob);
  methods.AddUnary(service, "GetJob", this, &JobServiceImpl::GetJob);
  methods.AddUnary(service, "ListJobs", this, &JobServiceImpl::ListJobs, Pool::kSearches);
  methods.AddUnary(service, "CancelJob", this, &JobServiceImpl::CancelJob);
  methods.AddUnary(service, "RetryJob", this, &JobServiceImpl::RetryJob);
  methods.AddUnary(service, "DeleteJob", this, &JobServiceImpl::DeleteJob);
  methods.AddLongPoll(service, "WaitJob", this, &JobServiceImpl::WaitJob);
  methods.AddStream(service, "WatchJob", this, &JobServiceImpl::WatchJob);
  methods.AddStream(service, "GenerateImages", this, &JobServiceImpl::GenerateImages);
}

absl::Status JobServiceImpl::CreateJob(Caller& caller, const v1::CreateJobRequest* request,
                                       v1::Job* reply) {
  ASSIGN_OR_RETURN(auto tenant, OwnParent(request->parent(), caller));
  const bool changes = !request->validate_only();
  if (changes) caller.resource = absl::StrCat("tenants/", tenant);
  ASSIGN_OR_RETURN(*reply, admission_.Create(tenant, *request));
  if (changes) caller.resource = reply->name();
  return absl::OkStatus();
}

absl::Status JobServiceImpl::GetJob(Caller& caller, const v1::GetJobRequest* request,
                                    v1::Job* reply) {
  ASSIGN_OR_RETURN(auto name, OwnJob(request->name(), caller));
  ASSIGN_OR_RETURN(*reply, jobs_.Get(name));
  return absl::OkStatus();
}

absl::Status JobServiceImpl::ListJobs(Caller& caller, const v1::ListJobsRequest* request,
                                      v1::ListJobsResponse* reply) {
  ASSIGN_OR_RETURN(auto tenant, OwnParent(request->parent(), caller));
  JobQuery query;
  ASSIGN_OR_RETURN(query.limit, PageSize(request->page_size()));
  ASSIGN_OR_RETURN(query.filter, ParseJobFilter(request->filter()));
  ASSIGN_OR_RETURN(query.order, ParseJobOrder(request->order_by()));
  const std::string purpose = PagePurpose(tenant, *request);
  ASSIGN_OR_RETURN(auto token, OpenPageToken(signer_, purpose, request->page_token()));
  query.after = CursorFrom(token);
  ASSIGN_OR_RETURN(auto page, jobs_.List(tenant, query));
  for (v1::Job& job : page.jobs) *reply->add_jobs() = std::move(job);
  if (page.next) {
    reply->set_next_page_token(
        signer_.Sign(purpose, absl::StrCat(page.next->value, "/", page.next->key)));
  }
  return absl::OkStatus();
}

absl::Status JobServiceImpl::CancelJob(Caller& caller, const v1::CancelJobRequest* request,
                                       v1::Job* reply) {
  ASSIGN_OR_RETURN(auto name, OwnJob(request->name(), caller));
  ASSIGN_OR_RETURN(*reply, jobs_.Cancel(name, request->etag()));
  return absl::OkStatus();
}

absl::Status JobServiceImpl::RetryJob(Caller& caller, const v1::RetryJobRequest* request,
                                      v1::Job* reply) {
  ASSIGN_OR_RETURN(auto name, OwnJob(request->name(), caller));
  ASSIGN_OR_RETURN(*reply, admission_.Retry(name, request->etag()));
  return absl::OkStatus();
}

absl::Status JobServiceImpl::DeleteJob(Caller& caller, const v1::DeleteJobRequest* request,
                                       google::protobuf::Empty*) {
  ASSIGN_OR_RETURN(auto name, OwnJob(request->name(), caller));
  return jobs_.Delete(name, request->etag());
}

LongPoll JobServiceImpl::WaitJob(grpc::CallbackServerContext*, const v1::WaitJobRequest* request,
                                 v1::Job* reply) {
  const auto timeout = WaitTimeout(*request);
  LongPoll poll;
  poll.timeout = timeout.value_or(absl::ZeroDuration());
  poll.topic = request->name();
  poll.attempt = [=, this](const Caller& caller, bool) -> absl::StatusOr<bool> {
    RETURN_IF_ERROR(timeout.status());
    ASSIGN_OR_RETURN(auto name, OwnJob(request->name(), caller));
    ASSIGN_OR_RETURN(*reply, jobs_.Get(name));
    return IsTerminal(reply->state());
  };
  return poll;
}

absl::StatusOr<std::unique_ptr<StreamSource<v1::JobEvent>>> JobServiceImpl::WatchJob(
    Caller& caller, const v1::WatchJobRequest* request, std::function<void()> wake) {
  ASSIGN_OR_RETURN(auto name, OwnJob(request->name(), caller));
  return WatchSource::Open(front_, jobs_, signer_, name, request->resume_token(), std::move(wake));
}

absl::StatusOr<std::unique_ptr<StreamSource<v1::GenerateImagesResponse>>>
JobServiceImpl::GenerateImages(Caller& caller, const v1::GenerateImagesRequest* request,
                               std::function<void()> wake) {
  ASSIGN_OR_RETURN(auto tenant, OwnParent(request->parent(), caller));
  caller.resource = absl::StrCat("tenants/", tenant);
  return GenerateSource::Open(front_, jobs_, blobs_, admission_, tenant, *request, std::move(wake),
                              &caller.resource);
}

}  // namespace likeness::server
