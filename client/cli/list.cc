// likeness list: jobs, newest first.
#include <iterator>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/interrupt.h"
#include "client/cli/job_view.h"
#include "client/cli/names.h"
#include "client/cli/table.h"
#include "client/cli/text.h"
#include "client/lib/backoff.h"
#include "client/lib/jobs.h"
#include "client/lib/watch.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Jobs, newest first.

  likeness list
  likeness list --limit 100 --json
  likeness list --filter "state = FAILED AND labels.project = zoo"
  likeness list --order-by "end_time desc"
  likeness list --watch

Usage: likeness list [FLAGS])";

constexpr absl::Duration kBetweenLooks = absl::Seconds(1);
// Jobs; beyond, those that the latest list does not show are forgotten.
constexpr int kMostSeen = 1000;

const std::vector<std::string>& Header() {
  static const auto& header =
      *new std::vector<std::string>{"JOB", "STATE", "AGE", "WAITED", "METHOD", "ABOUT", "PROGRESS"};
  return header;
}

std::vector<std::string> Row(const v1::Job& job, absl::Time now) {
  return {ShortName(job.name()), StateText(job.state()), RoundTime(now - ToTime(job.create_time())),
          WaitText(job, now),    MethodText(job),        AboutText(job),
          ProgressSummary(job)};
}

std::string JobTable(const v1::ListJobsResponse& list, absl::Time now) {
  std::vector<std::vector<std::string>> rows = {Header()};
  for (const auto& job : list.jobs()) rows.push_back(Row(job, now));
  return RenderTable(rows, TableColumns());
}

// Prints the jobs that are new or have changed since they were printed.
class Changes {
 public:
  explicit Changes(const Context& context) : context_(context) {}

  void Show(const v1::ListJobsResponse& list, absl::Time now) {
    std::vector<std::vector<std::string>> rows;
    if (widths_.empty() && context_.table()) rows.push_back(Header());
    listed_.clear();
    for (const auto& job : list.jobs()) listed_.insert(job.name());
    for (const auto& job : list.jobs()) Add(job, now, rows);
    Print(rows);
  }

  void Show(const v1::Job& job, absl::Time now) {
    std::vector<std::vector<std::string>> rows;
    Add(job, now, rows);
    Print(rows);
  }

  // Progress that comes faster is left out.
  void ShowProgress(const std::string& name, const v1::Progress& progress, absl::Time now) {
    const auto known = seen_.find(name);
    if (known == seen_.end() || now - known->second.shown < kBetweenLooks) return;
    v1::Job job = known->second.job;
    *job.mutable_progress() = progress;
    Show(job, now);
  }

  void Forget(const std::string& name) { seen_.erase(name); }

 private:
  struct Seen {
    v1::Job job;
    std::string state;  // as it was shown
    absl::Time shown;
  };

  void Add(const v1::Job& job, absl::Time now, std::vector<std::vector<std::string>>& rows) {
    const auto state = absl::StrCat(StateText(job.state()), " ", ProgressSummary(job));
    const auto before = seen_.find(job.name());
    if (before != seen_.end() && before->second.state == state) return;
    if (std::ssize(seen_) >= kMostSeen) ForgetUnlisted();
    seen_[job.name()] = {job, state, now};
    if (context_.structured()) {
      PrintResult(FormatInStream(context_.output, job));
    } else if (!context_.table()) {
      PrintResult(ShortName(job.name()));
    } else {
      rows.push_back(Row(job, now));
    }
  }

  void ForgetUnlisted() {
    std::erase_if(seen_, [this](const auto& known) { return !listed_.contains(known.first); });
  }

  void Print(const std::vector<std::vector<std::string>>& rows) {
    if (!rows.empty()) PrintResult(RenderTable(rows, TableColumns(), widths_));
  }

  const Context& context_;
  std::map<std::string, Seen> seen_;  // by the job's name
  std::set<std::string> listed_;      // names of the jobs of the latest list
  std::vector<int> widths_;
};

// Shows what an event changed. The server tells what led to a state; the job as it is now is read.
// Whether that could be done.
bool ShowEvent(const Connection& connection, const v1::JobEvent& event, Changes& changes) {
  if (event.has_deleted()) {
    changes.Forget(event.job());
  } else if (event.has_progress()) {
    changes.ShowProgress(event.job(), event.progress(), absl::Now());
  } else if (event.state_change().has_job()) {
    changes.Show(event.state_change().job(), absl::Now());
  } else if (event.has_state_change() || event.has_updated()) {
    const auto job = GetJob(connection, event.job());
    if (job.ok()) changes.Show(*job, absl::Now());
    return job.ok() || absl::IsNotFound(job.status());  // it is gone by now
  }
  return true;
}

absl::StatusOr<ExitCode> KeepListing(const Context& context, const ListOptions& options) {
  Interrupt interrupt;
  ASSIGN_OR_RETURN(const Connection connection, context.Connect(interrupt.token()));
  Changes changes(context);
  Backoff pause({.first = kBetweenLooks,
                 .longest = kBetweenLooks,
                 .give_up_after = absl::InfiniteDuration()});
  bool follow = true;  // not where the filter compares states, which a stream cannot be asked for
  std::string resume_token;  // of the last event that was shown; empty: all is to be listed anew
  while (true) {
    if (resume_token.empty()) {
      const auto list = ListJobs(connection, options);
      if (interrupt.requested()) return kDetached;
      if (list.ok()) {
        changes.Show(*list, absl::Now());
        if (follow) resume_token = list->resume_token();
      } else if (!absl::IsUnavailable(list.status())) {
        return list.status();
      }
    }
    if (!resume_token.empty()) {
      bool all_shown = true;
      const auto show = [&](const v1::JobEvent& event) {
        all_shown = ShowEvent(connection, event, changes) && all_shown;
        if (!event.resume_token().empty()) resume_token = event.resume_token();
      };
      const auto ended =
          WatchJobs(connection, options.filter, resume_token, show, interrupt.token());
      follow = ErrorReason(ended) != "INVALID_FILTER";
      const bool broken = ended.ok() || absl::IsUnavailable(ended);
      if (!broken || !all_shown) resume_token.clear();
    }
    if (!pause.Wait(interrupt.token())) return kDetached;
  }
}

absl::StatusOr<ExitCode> Run(const Context& context, const ListOptions& options, bool watch) {
  if (options.limit < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--limit is ", options.limit, "; at least 1 is allowed."));
  }
  if (watch && options.limit > kMostSeen) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--limit is ", options.limit, "; with --watch at most ", kMostSeen, " is allowed."));
  }
  if (watch) return KeepListing(context, options);
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(auto list, ListJobs(connection, options));
  if (context.structured()) {
    PrintResult(Format(context.output, list));
    return kDone;
  }
  if (!context.table()) {
    for (const auto& job : list.jobs()) PrintResult(ShortName(job.name()));
    return kDone;
  }
  if (list.jobs().empty()) {
    context.screen->Text(options.filter.empty()
                             ? "No jobs yet. likeness help train shows how to make one."
                             : "No job passes the filter.");
    return kDone;
  }
  PrintResult(JobTable(list, absl::Now()));
  if (!list.next_page_token().empty()) {
    context.screen->Text(absl::StrCat("There are more: --limit ", 2 * options.limit));
  }
  return kDone;
}

}  // namespace

int List(const Args& arguments) {
  ListOptions options;
  FlagSet flags(kUsage);
  flags.Add("limit", &options.limit, "How many at most.").Takes("N");
  flags.Add(
      "filter", &options.filter,
      "Which jobs: comparisons of state, method, model, labels.KEY, create_time and end_time, "
      "joined by AND, OR, NOT.");
  flags.Add("order-by", &options.order_by,
            "create_time or end_time, with desc behind it for the newest first.");
  bool watch = false;
  flags.Add("watch", &watch, "Stay, and print each job again when it changes. Ctrl-C ends it.")
      .Letter('w');
  return RunCommand(flags, arguments, {},
                    [&](Context& context) { return Run(context, options, watch); });
}

}  // namespace likeness::client
