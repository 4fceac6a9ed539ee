// likeness delete: forget a personalized model.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/names.h"
#include "client/lib/jobs.h"
#include "common/resource_names.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Forget a personalized model.

  likeness delete models/rex-7f3c

Usage: likeness delete MODEL [FLAGS])";

absl::StatusOr<ExitCode> Run(const Context& context) {
  const Connection connection(context.server);
  std::string name = context.positional[0];
  if (absl::StartsWith(name, "models/")) {
    name = absl::StrCat("tenants/", kDefaultTenant, "/", name);
  }
  RETURN_IF_ERROR(DeleteModel(connection, name));
  if (!context.json) {
    context.screen->Line(Mark::kDone, "deleted", absl::StrCat("models/", ShortName(name)));
  }
  return kDone;
}

}  // namespace

int Delete(const Args& arguments) {
  FlagSet flags(kUsage);
  return RunCommand(flags, arguments, {.at_least = 1, .at_most = 1}, Run);
}

}  // namespace likeness::client
