// likeness delete: forget a job or a personalized model.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/names.h"
#include "client/lib/jobs.h"
#include "common/resource_names.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] =
    R"(Forget a job that has ended, or a personalized model. Either stays when the
other goes.

  likeness delete rex-7f3c
  likeness delete models/rex-7f3c

Usage: likeness delete JOB | models/MODEL [FLAGS])";

bool IsModel(absl::string_view argument) {
  return absl::StartsWith(argument, "models/") || absl::StrContains(argument, "/models/");
}

absl::StatusOr<std::string> DeleteNamed(const Connection& connection, std::string argument) {
  if (!IsModel(argument)) {
    ASSIGN_OR_RETURN(auto job, JobNameFromArgument(connection, argument));
    RETURN_IF_ERROR(DeleteJob(connection, job));
    return ShortName(job);
  }
  if (absl::StartsWith(argument, "models/")) {
    ASSIGN_OR_RETURN(const std::string tenant, Tenant(connection));
    argument = absl::StrCat("tenants/", tenant, "/", argument);
  }
  RETURN_IF_ERROR(DeleteModel(connection, argument));
  return absl::StrCat("models/", ShortName(argument));
}

absl::StatusOr<ExitCode> Run(const Context& context) {
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(auto deleted, DeleteNamed(connection, context.positional[0]));
  if (!context.structured()) context.screen->Line(Mark::kDone, "deleted", deleted);
  return kDone;
}

}  // namespace

int Delete(const Args& arguments) {
  FlagSet flags(kUsage);
  return RunCommand(flags, arguments,
                    {.at_least = 1, .at_most = 1, .kinds = {"JOB or models/MODEL"}}, Run);
}

}  // namespace likeness::client
