// likeness download: fetch what a job made.
#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/interrupt.h"
#include "client/cli/names.h"
#include "client/cli/outputs.h"
#include "client/lib/jobs.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Fetch what a job made: pictures, and the model in the diffusers layout.

  likeness download rex-7f3c
  likeness download rex-7f3c --only model --out models/rex
  likeness download rex-7f3c --force      writes over other files of these names

Prints the files, one per line. Every file's digest is checked, and what is
there already is not fetched again: run it again after an interruption.

Usage: likeness download JOB [FLAGS])";

using Filter = bool (*)(const v1::Output&);

absl::StatusOr<Filter> ParseOnly(const std::string& only) {
  if (only.empty()) return +[](const v1::Output&) { return true; };
  if (only == "pictures") return &IsPicture;
  if (only == "model") return &IsModelFile;
  return absl::InvalidArgumentError(
      absl::StrCat("--only is '", only, "'; pictures and model are allowed."));
}

absl::StatusOr<ExitCode> Run(const Context& context, const std::string& only,
                             const std::string& out, bool force) {
  ASSIGN_OR_RETURN(auto wanted, ParseOnly(only));
  Interrupt interrupt;
  ASSIGN_OR_RETURN(const Connection connection, context.Connect(interrupt.token()));
  ASSIGN_OR_RETURN(auto name, JobNameFromArgument(connection, context.positional[0]));
  ASSIGN_OR_RETURN(auto job, GetJob(connection, name));
  if (job.outputs().empty()) {
    context.screen->Line(Mark::kFailed, "download",
                         absl::StrCat(ShortName(name), " has made nothing yet; likeness get ",
                                      ShortName(name), " says where it stands."));
    return kJobFailed;
  }
  auto paths = DownloadOutputs(connection, job, out.empty() ? ShortName(name) : out, wanted,
                               ReplaceOrRefuse(force), *context.screen, interrupt.token());
  if (interrupt.requested()) {
    context.screen->ClearProgress();
    context.screen->Text("Stopped. Run the same command again to continue.");
    return kDetached;
  }
  RETURN_IF_ERROR(WithForce(paths.status()));
  if (!PrintObject(context, job, job.name())) {
    for (const auto& path : *paths) PrintResult(path);
  }
  return kDone;
}

}  // namespace

int Download(const Args& arguments) {
  std::string only, out;
  bool force = false;
  FlagSet flags(kUsage);
  flags.Add("only", &only, "pictures or model [everything].").Takes("pictures|model");
  flags.Add("out", &out, "Folder to write to [the job's name].").Takes("DIR");
  flags.Add("force", &force, "Write over files that are there and hold something else.");
  return RunCommand(flags, arguments, {.at_least = 1, .at_most = 1, .kinds = {"JOB"}},
                    [&](Context& context) { return Run(context, only, out, force); });
}

}  // namespace likeness::client
