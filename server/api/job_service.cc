#include "server/api/job_service.h"

#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/clock.h"
#include "common/job_spec.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/api/bulk_change.h"
#include "server/api/generate_source.h"
#include "server/api/names.h"
#include "server/api/paging.h"
#include "server/api/watch_jobs_source.h"
#include "server/api/watch_source.h"
#include "server/jobs/erasure.h"
#include "server/jobs/job_state.h"
#include "server/jobs/policies/choice.h"
#include "server/jobs/proto_time.h"
#include "server/jobs/validation/field_checker.h"
#include "server/jobs/validation/label_validation.h"

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

// What a basic view leaves out: what is large.
void Abridge(v1::Job& job) {
  job.clear_resolved();
  job.clear_outputs();
  job.clear_metrics();
  job.clear_warnings();
  if (job.has_evaluate()) {
    job.mutable_evaluate()->clear_photos();
    job.mutable_evaluate()->clear_gallery();
  }
  if (job.has_generate()) job.mutable_generate()->clear_image_to_image();
  if (!job.has_fine_tune()) return;
  for (v1::Subject& subject : *job.mutable_fine_tune()->mutable_subjects()) {
    subject.clear_photos();
    subject.clear_validation_photos();
  }
  v1::FineTuneSpec& spec = *job.mutable_fine_tune();
  if (spec.has_prior()) spec.mutable_prior()->clear_class_photos();
}

absl::StatusOr<JobUpdate> UpdateOf(const v1::UpdateJobRequest& request) {
  const v1::Job& job = request.job();
  std::vector<std::string> fields(request.update_mask().paths().begin(),
                                  request.update_mask().paths().end());
  if (fields.empty()) {
    if (!job.labels().empty()) fields.push_back("labels");
    if (job.has_priority()) fields.push_back("priority");
  }
  JobUpdate update;
  FieldChecker checker;
  for (const std::string& field : fields) {
    if (field == "labels") {
      CheckLabels("job.labels", job.labels(), checker);
      update.labels.emplace(job.labels().begin(), job.labels().end());
    } else if (field == "priority") {
      checker.Integer("job.priority", job.has_priority() ? job.priority() : kDefaultPriority,
                      kLowestPriority, kHighestPriority);
      update.priority = job.has_priority() ? job.priority() : kDefaultPriority;
    } else {
      checker.Add(
          "update_mask",
          absl::StrCat("\"", field.substr(0, 63), "\" cannot be changed; labels and priority can"),
          "FIELD_NOT_CHANGEABLE");
    }
  }
  RETURN_IF_ERROR(checker.status());
  return update;
}

// What a call that changes many jobs may take, but for the change under way.
constexpr absl::Duration kBulkPatience = absl::Seconds(5);

template <typename Reply>
absl::Status ChangeInBulk(JobStore& jobs, const std::string& tenant, const std::string& filter,
                          const std::vector<v1::JobState>& states,
                          absl::FunctionRef<absl::Status(const JobName&)> change, Reply* reply) {
  const absl::Time end = SteadyNow() + kBulkPatience;
  ASSIGN_OR_RETURN(const BulkChange changed, ChangeJobs(jobs, tenant, filter, states, change,
                                                        [&] { return SteadyNow() >= end; }));
  reply->mutable_jobs()->Assign(changed.jobs.begin(), changed.jobs.end());
  reply->set_more(changed.more);
  return absl::OkStatus();
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
  methods.AddUnary(service, "UpdateJob", this, &JobServiceImpl::UpdateJob);
  methods.AddUnary(service, "CancelJobs", this, &JobServiceImpl::CancelJobs, Pool::kSearches);
  methods.AddUnary(service, "DeleteJobs", this, &JobServiceImpl::DeleteJobs, Pool::kSearches);
  methods.AddUnary(service, "ListJobEvents", this, &JobServiceImpl::ListJobEvents);
  methods.AddStream(service, "WatchJobs", this, &JobServiceImpl::WatchJobs);
  methods.AddUnary(service, "CancelJob", this, &JobServiceImpl::CancelJob);
  methods.AddUnary(service, "RetryJob", this, &JobServiceImpl::RetryJob);
  methods.AddUnary(service, "DeleteJob", this, &JobServiceImpl::DeleteJob);
  methods.AddUnary(service, "EraseJob", this, &JobServiceImpl::EraseJob, Pool::kSearches);
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
  ASSIGN_OR_RETURN(JobSnapshot snapshot, jobs_.Snapshot(name));
  *reply = std::move(snapshot.job);
  reply->set_resume_token(WatchSource::TokenAfter(signer_, *reply, snapshot.last_seq));
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
  if (!v1::JobView_IsValid(request->view())) {
    return InvalidField("view", absl::StrCat("is ", request->view(), ", which is unknown"),
                        "OUT_OF_RANGE");
  }
  reply->set_resume_token(WatchJobsSource::TokenAt(changes_, signer_, tenant));
  ASSIGN_OR_RETURN(auto page, jobs_.List(tenant, query));
  for (size_t i = 0; i < page.jobs.size(); ++i) {
    v1::Job& job = *reply->add_jobs() = std::move(page.jobs[i]);
    job.set_resume_token(WatchSource::TokenAfter(signer_, job, page.last_seqs[i]));
    if (request->view() == v1::JOB_VIEW_BASIC) Abridge(job);
  }
  if (page.next) {
    reply->set_next_page_token(
        signer_.Sign(purpose, absl::StrCat(page.next->value, "/", page.next->key)));
  }
  return absl::OkStatus();
}

absl::Status JobServiceImpl::UpdateJob(Caller& caller, const v1::UpdateJobRequest* request,
                                       v1::Job* reply) {
  ASSIGN_OR_RETURN(auto name, OwnJob(request->job().name(), caller));
  caller.resource = name.ToString();
  ASSIGN_OR_RETURN(const JobUpdate update, UpdateOf(*request));
  ASSIGN_OR_RETURN(*reply, jobs_.Update(name, update, request->job().etag()));
  return absl::OkStatus();
}

absl::Status JobServiceImpl::CancelJobs(Caller& caller, const v1::CancelJobsRequest* request,
                                        v1::CancelJobsResponse* reply) {
  caller.resource = absl::StrCat("tenants/", caller.tenant);
  ASSIGN_OR_RETURN(auto tenant, OwnParent(request->parent(), caller));
  return ChangeInBulk(
      jobs_, tenant, request->filter(), {v1::JOB_STATE_PENDING, v1::JOB_STATE_RUNNING},
      [this](const JobName& name) { return jobs_.Cancel(name, "").status(); }, reply);
}

absl::Status JobServiceImpl::DeleteJobs(Caller& caller, const v1::DeleteJobsRequest* request,
                                        v1::DeleteJobsResponse* reply) {
  caller.resource = absl::StrCat("tenants/", caller.tenant);
  ASSIGN_OR_RETURN(auto tenant, OwnParent(request->parent(), caller));
  return ChangeInBulk(
      jobs_, tenant, request->filter(),
      {v1::JOB_STATE_SUCCEEDED, v1::JOB_STATE_FAILED, v1::JOB_STATE_CANCELLED},
      [this](const JobName& name) { return jobs_.Delete(name, ""); }, reply);
}

absl::Status JobServiceImpl::ListJobEvents(Caller& caller, const v1::ListJobEventsRequest* request,
                                           v1::ListJobEventsResponse* reply) {
  ASSIGN_OR_RETURN(auto name, OwnJob(request->parent(), caller));
  ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
  ASSIGN_OR_RETURN(const JobSnapshot snapshot, jobs_.Snapshot(name));
  const std::string purpose = absl::StrCat("events ", snapshot.job.uid());
  ASSIGN_OR_RETURN(const auto token, OpenPageToken(signer_, purpose, request->page_token()));
  int64_t after = 0;
  if (!token.empty() && !absl::SimpleAtoi(token, &after)) after = snapshot.last_seq;
  ASSIGN_OR_RETURN(auto events, jobs_.KeptEvents(name, snapshot.key, after, size));
  for (v1::JobEvent& event : events) *reply->add_events() = std::move(event);
  if (reply->events().empty() || reply->events().rbegin()->seq() >= snapshot.last_seq) {
    return absl::OkStatus();
  }
  reply->set_next_page_token(signer_.Sign(purpose, absl::StrCat(reply->events().rbegin()->seq())));
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

absl::Status JobServiceImpl::EraseJob(Caller& caller, const v1::EraseJobRequest* request,
                                      v1::Erasure* reply) {
  ASSIGN_OR_RETURN(auto name, OwnJob(request->name(), caller));
  caller.resource = name.ToString();
  ASSIGN_OR_RETURN(const Erased erased, jobs_.EraseJob(name, request->etag()));
  *reply = EraseBlobs(jobs_, blobs_, erased);
  return absl::OkStatus();
}

LongPoll JobServiceImpl::WaitJob(grpc::ServerContext*, const v1::WaitJobRequest* request,
                                 v1::Job* reply) {
  const auto timeout = WaitTimeout(*request);
  LongPoll poll;
  poll.timeout = timeout.value_or(absl::ZeroDuration());
  poll.topic = request->name();
  poll.attempt = [=, this](const Caller& caller) -> absl::StatusOr<bool> {
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
  return WatchSource::Open(front_, jobs_, signer_, name, *request, std::move(wake));
}

absl::StatusOr<std::unique_ptr<StreamSource<v1::JobEvent>>> JobServiceImpl::WatchJobs(
    Caller& caller, const v1::WatchJobsRequest* request, std::function<void()> wake) {
  ASSIGN_OR_RETURN(auto tenant, OwnParent(request->parent(), caller));
  return WatchJobsSource::Open(front_.feed(), jobs_, changes_, signer_, tenant, *request,
                               std::move(wake));
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
