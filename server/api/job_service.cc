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
#include "server/api/stream_reactor.h"
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

grpc::ServerUnaryReactor* JobServiceImpl::CreateJob(grpc::CallbackServerContext* context,
                                                    const v1::CreateJobRequest* request,
                                                    v1::Job* reply) {
  return front_.Respond(context, "CreateJob", *request, [=, this](Caller& caller) -> absl::Status {
    ASSIGN_OR_RETURN(auto tenant, OwnParent(request->parent(), caller));
    const bool changes = !request->validate_only();
    if (changes) caller.resource = absl::StrCat("tenants/", tenant);
    ASSIGN_OR_RETURN(*reply, admission_.Create(tenant, *request));
    if (changes) caller.resource = reply->name();
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* JobServiceImpl::GetJob(grpc::CallbackServerContext* context,
                                                 const v1::GetJobRequest* request, v1::Job* reply) {
  return front_.Respond(context, "GetJob", *request,
                        [=, this](const Caller& caller) -> absl::Status {
                          ASSIGN_OR_RETURN(auto name, OwnJob(request->name(), caller));
                          ASSIGN_OR_RETURN(*reply, jobs_.Get(name));
                          return absl::OkStatus();
                        });
}

grpc::ServerUnaryReactor* JobServiceImpl::ListJobs(grpc::CallbackServerContext* context,
                                                   const v1::ListJobsRequest* request,
                                                   v1::ListJobsResponse* reply) {
  return front_.Respond(
      context, "ListJobs", *request, [=, this](const Caller& caller) -> absl::Status {
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
      });
}

grpc::ServerUnaryReactor* JobServiceImpl::CancelJob(grpc::CallbackServerContext* context,
                                                    const v1::CancelJobRequest* request,
                                                    v1::Job* reply) {
  return front_.Respond(context, "CancelJob", *request,
                        [=, this](const Caller& caller) -> absl::Status {
                          ASSIGN_OR_RETURN(auto name, OwnJob(request->name(), caller));
                          ASSIGN_OR_RETURN(*reply, jobs_.Cancel(name, request->etag()));
                          return absl::OkStatus();
                        });
}

grpc::ServerUnaryReactor* JobServiceImpl::RetryJob(grpc::CallbackServerContext* context,
                                                   const v1::RetryJobRequest* request,
                                                   v1::Job* reply) {
  return front_.Respond(context, "RetryJob", *request,
                        [=, this](const Caller& caller) -> absl::Status {
                          ASSIGN_OR_RETURN(auto name, OwnJob(request->name(), caller));
                          ASSIGN_OR_RETURN(*reply, admission_.Retry(name, request->etag()));
                          return absl::OkStatus();
                        });
}

grpc::ServerUnaryReactor* JobServiceImpl::DeleteJob(grpc::CallbackServerContext* context,
                                                    const v1::DeleteJobRequest* request,
                                                    google::protobuf::Empty*) {
  return front_.Respond(context, "DeleteJob", *request,
                        [=, this](const Caller& caller) -> absl::Status {
                          ASSIGN_OR_RETURN(auto name, OwnJob(request->name(), caller));
                          return jobs_.Delete(name, request->etag());
                        });
}

grpc::ServerUnaryReactor* JobServiceImpl::WaitJob(grpc::CallbackServerContext* context,
                                                  const v1::WaitJobRequest* request,
                                                  v1::Job* reply) {
  const auto timeout = WaitTimeout(*request);
  auto attempt = [=, this](const Caller& caller, bool) -> absl::StatusOr<bool> {
    RETURN_IF_ERROR(timeout.status());
    ASSIGN_OR_RETURN(auto name, OwnJob(request->name(), caller));
    ASSIGN_OR_RETURN(*reply, jobs_.Get(name));
    return IsTerminal(reply->state());
  };
  return front_.RespondWhenReady(
      context, "WaitJob", *request,
      {timeout.value_or(absl::ZeroDuration()), request->name(), std::move(attempt)});
}

grpc::ServerWriteReactor<v1::JobEvent>* JobServiceImpl::WatchJob(
    grpc::CallbackServerContext* context, const v1::WatchJobRequest* request) {
  auto open = [=, this](const Caller& caller, std::function<void()> wake)
      -> absl::StatusOr<std::unique_ptr<StreamSource<v1::JobEvent>>> {
    ASSIGN_OR_RETURN(auto name, OwnJob(request->name(), caller));
    return WatchSource::Open(front_, jobs_, signer_, name, request->resume_token(),
                             std::move(wake));
  };
  return new StreamReactor<v1::JobEvent>(front_, context, "WatchJob", *request, std::move(open),
                                         WatchSource::kBookmarkInterval);
}

grpc::ServerWriteReactor<v1::GenerateImagesResponse>* JobServiceImpl::GenerateImages(
    grpc::CallbackServerContext* context, const v1::GenerateImagesRequest* request) {
  auto open = [=, this](Caller& caller, std::function<void()> wake)
      -> absl::StatusOr<std::unique_ptr<StreamSource<v1::GenerateImagesResponse>>> {
    ASSIGN_OR_RETURN(auto tenant, OwnParent(request->parent(), caller));
    caller.resource = absl::StrCat("tenants/", tenant);
    return GenerateSource::Open(front_, jobs_, blobs_, admission_, tenant, *request,
                                std::move(wake), &caller.resource);
  };
  return new StreamReactor<v1::GenerateImagesResponse>(front_, context, "GenerateImages", *request,
                                                       std::move(open));
}

}  // namespace likeness::server
