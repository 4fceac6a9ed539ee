// likeness retry: another try for a job that failed or was cancelled.
#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/names.h"
#include "client/lib/jobs.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] =
    R"(Put a job that failed or was cancelled back into the queue. It goes on from its
last checkpoint.

  likeness retry rex-7f3c
  likeness retry rex-7f3c tom-1a2b

Usage: likeness retry JOB... [FLAGS])";

absl::StatusOr<ExitCode> One(const Context& context, const Connection& connection,
                             const std::string& argument) {
  ASSIGN_OR_RETURN(auto name, JobNameFromArgument(connection, argument));
  ASSIGN_OR_RETURN(auto job, RetryJob(connection, name));
  if (PrintObject(context, job, job.name())) return kDone;
  const auto id = ShortName(name);
  context.screen->Line(
      Mark::kDone, StateText(job.state()),
      absl::StrCat(id, " · follow it: ", CommandHint(context, absl::StrCat("watch ", id))));
  return kDone;
}

}  // namespace

int Retry(const Args& arguments) {
  FlagSet flags(kUsage);
  return RunCommand(flags, arguments, {.at_least = 1, .at_most = kMostArguments, .kinds = {"JOB"}},
                    [](const Context& context) { return ForEachArgument(context, One); });
}

}  // namespace likeness::client
