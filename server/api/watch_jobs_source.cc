#include "server/api/watch_jobs_source.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/ids.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/base/planted.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

constexpr size_t kChangesAtOnce = 64;
constexpr int kEventsAtOnce = 1000;

// Positions are of one run of the server.
const std::string& Run() {
  static const std::string& run = *new std::string(RandomUuid());
  return run;
}

std::string Purpose(const std::string& tenant) { return absl::StrCat("watch jobs ", tenant); }

std::string TokenOf(const TokenSigner& signer, const std::string& tenant, int64_t position) {
  return signer.Sign(Purpose(tenant), absl::StrCat(Run(), "/", position));
}

absl::Status Expired() {
  return RpcError(absl::StatusCode::kFailedPrecondition, "RESUME_TOKEN_EXPIRED",
                  "the changes after this token are not all kept; list the jobs again");
}

absl::StatusOr<int64_t> PositionOf(const TokenSigner& signer, const std::string& tenant,
                                   const std::string& token) {
  const auto payload = signer.Open(Purpose(tenant), token);
  if (!payload) {
    return InvalidField("resume_token", "is not one that this server gave out for this tenant",
                        "RESUME_TOKEN_INVALID");
  }
  const std::string prefix = Run() + "/";
  int64_t position = 0;
  if (payload->compare(0, prefix.size(), prefix) != 0 ||
      !absl::SimpleAtoi(payload->substr(prefix.size()), &position)) {
    return Expired();
  }
  return position;
}

// What changes while a job goes on would make events of one that the client knows disappear.
absl::Status CheckLasting(const JobFilter& filter) {
  if (filter.kind == JobFilter::Kind::kState || filter.kind == JobFilter::Kind::kEndTime) {
    return InvalidField("filter", "compares state or end_time, which WatchJobs does not support",
                        "INVALID_FILTER");
  }
  for (const JobFilter& operand : filter.operands) RETURN_IF_ERROR(CheckLasting(operand));
  return absl::OkStatus();
}

bool ComparesLabels(const JobFilter& filter) {
  return filter.kind == JobFilter::Kind::kLabel || filter.kind == JobFilter::Kind::kHasLabel ||
         std::any_of(filter.operands.begin(), filter.operands.end(), ComparesLabels);
}

// One entry for each job, in the order of the first.
std::deque<ChangeLog::Entry> Joined(std::vector<ChangeLog::Entry> changes) {
  std::deque<ChangeLog::Entry> joined;
  for (ChangeLog::Entry& change : changes) {
    const auto known = std::find_if(joined.begin(), joined.end(), [&](const auto& other) {
      return other.key == change.key && !other.deleted;
    });
    if (known == joined.end() || change.deleted) {
      joined.push_back(std::move(change));
    } else {
      known->last_seq = std::max(known->last_seq, change.last_seq);
    }
  }
  return joined;
}

}  // namespace

std::string WatchJobsSource::TokenAt(const ChangeLog& log, const TokenSigner& signer,
                                     const std::string& tenant) {
  return TokenOf(signer, tenant, log.position());
}

absl::StatusOr<std::unique_ptr<StreamSource<v1::JobEvent>>> WatchJobsSource::Open(
    ChangeFeed& feed, JobStore& jobs, const ChangeLog& log, const TokenSigner& signer,
    const std::string& tenant, const v1::WatchJobsRequest& request, std::function<void()> wake) {
  ASSIGN_OR_RETURN(JobFilter filter, ParseJobFilter(request.filter()));
  RETURN_IF_ERROR(CheckLasting(filter));
  auto changes = feed.Subscribe(JobsTopic(tenant), std::move(wake));
  int64_t position = log.position();
  if (!request.resume_token().empty()) {
    ASSIGN_OR_RETURN(position, PositionOf(signer, tenant, request.resume_token()));
  }
  std::unique_ptr<WatchJobsSource> source(
      new WatchJobsSource(jobs, log, signer, tenant, std::move(filter), position));
  source->changes_ = std::move(changes);
  return source;
}

WatchJobsSource::WatchJobsSource(JobStore& jobs, const ChangeLog& log, const TokenSigner& signer,
                                 std::string tenant, JobFilter filter, int64_t position)
    : jobs_(jobs),
      log_(log),
      signer_(signer),
      tenant_(std::move(tenant)),
      filter_(std::move(filter)),
      sent_(position),
      read_(position) {}

absl::StatusOr<Pulled> WatchJobsSource::Next(v1::JobEvent* message) {
  message->Clear();
  while (events_.empty()) {
    if (!pending_.empty()) {
      RETURN_IF_ERROR(ReadEvents());
      continue;
    }
    const int64_t before = read_;
    sent_ = read_;
    RETURN_IF_ERROR(ReadChanges());
    if (read_ == before) break;
  }
  if (!events_.empty()) {
    *message = std::move(events_.front());
    events_.pop_front();
    if (events_.empty() && pending_.empty()) sent_ = read_;
  } else if (SteadyNow() - last_sent_ >= kBookmarkInterval) {
    message->mutable_bookmark();
    *message->mutable_time() = ToProto(absl::Now());
  } else {
    return Pulled::kNothing;
  }
  message->set_resume_token(TokenOf(signer_, tenant_, sent_));
  last_sent_ = SteadyNow();
  return Pulled::kMessage;
}

absl::Status WatchJobsSource::ReadChanges() {
  auto changes = log_.After(tenant_, &read_, kChangesAtOnce);
  if (!changes) return Expired();
  pending_ = Joined(*std::move(changes));
  return absl::OkStatus();
}

absl::Status WatchJobsSource::ReadEvents() {
  ChangeLog::Entry& change = pending_.front();
  if (change.deleted) {
    v1::JobEvent& event = events_.emplace_back();
    event.set_job(change.job);
    event.mutable_deleted();
    *event.mutable_time() = ToProto(absl::Now());
  } else {
    const absl::StatusOr<bool> more = ReadEventsOf(change);
    // The deletion of a job that is gone comes later; one that the disk has not kept is left out,
    // as lists do, so that it does not hold up the others.
    if (!absl::IsNotFound(more.status()) && !absl::IsDataLoss(more.status())) {
      RETURN_IF_ERROR(more.status());
    }
    if (more.value_or(false)) return absl::OkStatus();
  }
  pending_.pop_front();
  return absl::OkStatus();
}

absl::StatusOr<bool> WatchJobsSource::ReadEventsOf(ChangeLog::Entry& change) {
  ASSIGN_OR_RETURN(const JobName name, ParseJobName(change.job));
  bool passes = true;
  if (filter_.kind != JobFilter::Kind::kAnd || !filter_.operands.empty()) {
    ASSIGN_OR_RETURN(const v1::Job job, jobs_.Get(name));
    passes = Matches(filter_, job);
    if (!passes && !ComparesLabels(filter_)) return false;
  }
  ASSIGN_OR_RETURN(auto events,
                   jobs_.EventsAfter(name, change.key, change.after_seq, kEventsAtOnce));
  if (events.empty()) return false;  // later progress has replaced what was there
  for (v1::JobEvent& event : events) {
    if (event.seq() > change.last_seq) return false;
    change.after_seq = event.seq();
    // The update that takes a job out of the filter is the last that a client hears of it.
    if (!passes && !event.has_updated()) continue;
    if (Planted("watch-skips") && event.seq() % 7 == 0) continue;
    event.set_job(change.job);
    events_.push_back(std::move(event));
  }
  return change.after_seq < change.last_seq;
}

}  // namespace likeness::server
