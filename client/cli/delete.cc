// likeness delete: forget a job or a personalized model.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/names.h"
#include "client/lib/jobs.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] =
    R"(Delete a job that has ended, or a personalized model. Either stays when the
other goes; likeness erase deletes both.

  likeness delete rex-7f3c
  likeness delete rex-7f3c tom-1a2b
  likeness delete models/rex-7f3c

Usage: likeness delete (JOB | models/MODEL)... [FLAGS])";

absl::StatusOr<ExitCode> One(const Context& context, const Connection& connection,
                             const std::string& argument) {
  ASSIGN_OR_RETURN(const std::string name, JobOrModelNameFromArgument(connection, argument));
  const bool is_model = absl::StrContains(name, "/models/");
  RETURN_IF_ERROR(is_model ? DeleteModel(connection, name) : DeleteJob(connection, name));
  if (!context.structured()) {
    context.screen->Line(Mark::kDone, "deleted",
                         absl::StrCat(is_model ? "models/" : "", ShortName(name)));
  }
  return kDone;
}

}  // namespace

int Delete(const Args& arguments) {
  FlagSet flags(kUsage);
  return RunCommand(flags, arguments,
                    {.at_least = 1, .at_most = kMostArguments, .kinds = {"JOB or models/MODEL"}},
                    [](const Context& context) { return ForEachArgument(context, One); });
}

}  // namespace likeness::client
