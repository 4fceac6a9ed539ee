#include "server/api/bulk_change.h"

#include <utility>

#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::server {
namespace {

constexpr int kMostInBulk = 1000;

JobFilter InOneOf(const std::vector<v1::JobState>& states) {
  JobFilter any;
  any.kind = JobFilter::Kind::kOr;
  for (const v1::JobState state : states) {
    JobFilter& one = any.operands.emplace_back();
    one.kind = JobFilter::Kind::kState;
    one.state = state;
  }
  return any;
}

// Changes the jobs of a page. Whether the next one is to follow.
absl::StatusOr<bool> ChangePage(const JobPage& page,
                                absl::FunctionRef<absl::Status(const JobName&)> change,
                                absl::FunctionRef<bool()> enough, BulkChange& done) {
  for (const v1::Job& job : page.jobs) {
    if (std::ssize(done.jobs) == kMostInBulk || enough()) {
      done.more = true;
      return false;
    }
    ASSIGN_OR_RETURN(const JobName name, ParseJobName(job.name()));
    const absl::Status changed = change(name);
    if (absl::IsNotFound(changed) || absl::IsFailedPrecondition(changed)) continue;
    RETURN_IF_ERROR(changed);
    done.jobs.push_back(job.name());
  }
  return page.next.has_value();
}

}  // namespace

absl::StatusOr<BulkChange> ChangeJobs(JobStore& jobs, const std::string& tenant,
                                      const std::string& filter,
                                      const std::vector<v1::JobState>& states,
                                      absl::FunctionRef<absl::Status(const JobName&)> change,
                                      absl::FunctionRef<bool()> enough) {
  JobQuery query;
  ASSIGN_OR_RETURN(JobFilter wanted, ParseJobFilter(filter));
  if (wanted.kind == JobFilter::Kind::kAnd && wanted.operands.empty()) {  // blanks alone, too
    return InvalidField("filter", "is empty; say which jobs are meant", "FILTER_MISSING");
  }
  query.filter.operands = {std::move(wanted), InOneOf(states)};
  query.limit = kMostInBulk;
  BulkChange done;
  for (bool goes_on = true; goes_on;) {
    const auto page = jobs.List(tenant, query);
    const auto next = page.ok() ? ChangePage(*page, change, enough, done) : page.status();
    if (!next.ok() && done.jobs.empty()) return next.status();
    if (!next.ok()) done.more = true;
    goes_on = next.value_or(false);
    if (goes_on) query.after = page->next;
  }
  return done;
}

}  // namespace likeness::server
