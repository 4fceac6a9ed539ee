// likeness cancel: stop a job.
#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/names.h"
#include "client/lib/jobs.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Stop a job. A running one stops after its current step.

  likeness cancel rex-7f3c
  likeness cancel rex-7f3c tom-1a2b

Usage: likeness cancel JOB... [FLAGS])";

absl::StatusOr<ExitCode> One(const Context& context, const Connection& connection,
                             const std::string& argument) {
  ASSIGN_OR_RETURN(auto name, JobNameFromArgument(connection, argument));
  ASSIGN_OR_RETURN(auto job, CancelJob(connection, name));
  if (PrintObject(context, job, job.name())) return kDone;
  const bool stopped = job.state() == v1::JOB_STATE_CANCELLED;
  context.screen->Line(
      Mark::kDone, stopped ? "cancelled" : "cancelling",
      absl::StrCat(ShortName(name), stopped ? "" : " · it stops after its current step"));
  return kDone;
}

}  // namespace

int Cancel(const Args& arguments) {
  FlagSet flags(kUsage);
  return RunCommand(flags, arguments, {.at_least = 1, .at_most = kMostArguments, .kinds = {"JOB"}},
                    [](const Context& context) { return ForEachArgument(context, One); });
}

}  // namespace likeness::client
