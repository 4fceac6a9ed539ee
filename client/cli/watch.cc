// likeness watch: follow a job to its end.
#include <optional>

#include "client/cli/command.h"
#include "client/cli/follow.h"
#include "client/cli/interrupt.h"
#include "client/cli/names.h"
#include "client/lib/jobs.h"
#include "client/lib/output_folder.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Follow a job to its end.

  likeness watch rex-7f3c
  likeness watch rex-7f3c --out rex-7f3c     fetch previews and pictures too
  likeness watch rex-7f3c --json             every event as a line of JSON

A lost connection is taken up again where it broke. Ctrl-C detaches: the job
continues.

Usage: likeness watch JOB [FLAGS])";

}  // namespace

int Watch(const Args& arguments) {
  std::string out;
  FlagSet flags(kUsage);
  flags.Add("out", &out, "Folder for previews and pictures [not fetched].").Takes("DIR");
  const auto run = [&](Context& context) -> absl::StatusOr<ExitCode> {
    Interrupt interrupt;
    ASSIGN_OR_RETURN(const Connection connection, context.Connect(interrupt.token()));
    ASSIGN_OR_RETURN(auto name, JobNameFromArgument(connection, context.positional[0]));
    std::optional<OutputFolder> folder;
    if (!out.empty()) {
      ASSIGN_OR_RETURN(folder, OutputFolder::Prepare(out));
    }
    RETURN_IF_ERROR(GetJob(connection, name).status());  // a wrong name or server is told at once
    return FollowJob(context, connection, name,
                     {.folder = out, .print_events = context.structured()}, interrupt);
  };
  return RunCommand(flags, arguments, {.at_least = 1, .at_most = 1, .kinds = {"JOB"}}, run);
}

}  // namespace likeness::client
