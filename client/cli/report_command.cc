// likeness report: a job's results as one page.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/interrupt.h"
#include "client/cli/names.h"
#include "client/cli/outputs.h"
#include "client/lib/download.h"
#include "client/lib/jobs.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] =
    R"(Fetch a job's report: one HTML page with photos, pictures, figures and settings.

  likeness report rex-7f3c
  likeness report rex-7f3c --out rex.html

Fine-tune and evaluate jobs that succeeded have one. The page needs no network
and no other file. Prints the file's name.

Usage: likeness report JOB [FLAGS])";

constexpr char kPage[] = "report/index.html";

absl::StatusOr<ExitCode> Run(const Context& context, const std::string& out, bool force) {
  Interrupt interrupt;
  ASSIGN_OR_RETURN(const Connection connection, context.Connect(interrupt.token()));
  ASSIGN_OR_RETURN(const auto name, JobNameFromArgument(connection, context.positional[0]));
  ASSIGN_OR_RETURN(const auto job, GetJob(connection, name));
  const auto page = std::find_if(job.outputs().begin(), job.outputs().end(),
                                 [](const v1::Output& output) { return output.path() == kPage; });
  if (page == job.outputs().end()) {
    context.screen->Line(Mark::kFailed, "report",
                         absl::StrCat(ShortName(name),
                                      " has no report; fine-tune and evaluate jobs "
                                      "that succeeded have one."));
    return kJobFailed;
  }
  const std::string file = out.empty() ? absl::StrCat(ShortName(name), ".html") : out;
  const auto place = PlaceFor(file, ShortName(page->blob()), ReplaceOrRefuse(force));
  RETURN_IF_ERROR(WithForce(place.status()));
  if (!place->filled) {
    RETURN_IF_ERROR(DownloadBlob(connection, page->blob(), file, interrupt.token()));
  }
  if (!PrintObject(context, job, job.name())) PrintResult(file);
  return kDone;
}

}  // namespace

int Report(const Args& arguments) {
  std::string out;
  bool force = false;
  FlagSet flags(kUsage);
  flags.Add("out", &out, "File to write [JOB.html].").Takes("FILE");
  flags.Add("force", &force, "Write over a file that is there and holds something else.");
  return RunCommand(flags, arguments, {.at_least = 1, .at_most = 1, .kinds = {"JOB"}},
                    [&](Context& context) { return Run(context, out, force); });
}

}  // namespace likeness::client
