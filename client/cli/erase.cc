// likeness erase: delete a person or thing with everything that was made of their photos.
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/names.h"
#include "client/cli/text.h"
#include "client/lib/jobs.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] =
    R"(Erase a person or thing: a personalized model, the job that made it, all jobs
that drew with it, and their photos, checkpoints and pictures, at once and for
good. Of a job: the same for the model that it made. All these jobs must have
ended. Backups keep what they hold.

  likeness erase models/rex-7f3c --yes
  likeness erase rex-7f3c --yes

Usage: likeness erase JOB | models/MODEL --yes [FLAGS])";

void Say(const Context& context, const v1::Erasure& erased) {
  context.screen->Line(
      Mark::kDone, "erased",
      absl::StrCat(Count(erased.models_size(), "model"), ", ", Count(erased.jobs_size(), "job"),
                   ", ", Count(erased.erased_blobs(), "file"), " (",
                   ByteSize(erased.erased_bytes()), ")"));
  if (erased.shared_blobs() > 0) {
    context.screen->Line(Mark::kWarning, "kept",
                         absl::StrCat(Count(erased.shared_blobs(), "file"),
                                      " that other jobs or models use as well"));
  }
  if (erased.pending_blobs() > 0) {
    context.screen->Line(Mark::kWarning, "later",
                         absl::StrCat(Count(erased.pending_blobs(), "file"),
                                      " in use at the moment; the server erases them by itself"));
  }
  context.screen->Line(
      Mark::kNone, "backups",
      absl::StrCat("those begun before ",
                   absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", ToTime(erased.erase_time()),
                                    absl::UTCTimeZone()),
                   " may still hold it"));
}

absl::StatusOr<ExitCode> Run(const Context& context, bool sure) {
  if (!sure) {
    return absl::InvalidArgumentError(
        absl::StrCat("Nothing is erased without --yes: it cannot be undone. It deletes all jobs ",
                     "that made or drew with the model, too."));
  }
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(const std::string name,
                   JobOrModelNameFromArgument(connection, context.positional[0]));
  ASSIGN_OR_RETURN(const v1::Erasure erased, Erase(connection, name));
  if (PrintObject(context, erased, name)) return kDone;
  Say(context, erased);
  return kDone;
}

}  // namespace

int EraseCommand(const Args& arguments) {
  FlagSet flags(kUsage);
  bool sure = false;
  flags.Add("yes", &sure, "Erase it. Without this flag, nothing happens.");
  return RunCommand(flags, arguments,
                    {.at_least = 1, .at_most = 1, .kinds = {"JOB or models/MODEL"}},
                    [&](Context& context) { return Run(context, sure); });
}

}  // namespace likeness::client
