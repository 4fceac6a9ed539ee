// likeness list: jobs, newest first.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/job_view.h"
#include "client/cli/names.h"
#include "client/cli/table.h"
#include "client/cli/text.h"
#include "client/lib/jobs.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Jobs, newest first.

  likeness list
  likeness list --limit 100 --json
  likeness list --filter "state = FAILED AND labels.project = zoo"
  likeness list --order-by "end_time desc"

Usage: likeness list [FLAGS])";

std::string JobTable(const v1::ListJobsResponse& list, absl::Time now) {
  std::vector<std::vector<std::string>> rows = {
      {"JOB", "STATE", "AGE", "WAITED", "METHOD", "ABOUT", "PROGRESS"}};
  for (const auto& job : list.jobs()) {
    rows.push_back({ShortName(job.name()), StateText(job.state()),
                    RoundTime(now - ToTime(job.create_time())), WaitText(job, now), MethodText(job),
                    AboutText(job), ProgressSummary(job)});
  }
  return RenderTable(rows, TableColumns());
}

absl::StatusOr<ExitCode> Run(const Context& context, const ListOptions& options) {
  if (options.limit < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--limit is ", options.limit, "; at least 1 is allowed."));
  }
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
  return RunCommand(flags, arguments, {}, [&](Context& context) { return Run(context, options); });
}

}  // namespace likeness::client
