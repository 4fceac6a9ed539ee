// likeness usage: what a tenant has used, by day.
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/table.h"
#include "client/cli/text.h"
#include "client/lib/operators.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] =
    R"(Time of workers, jobs and stored bytes that a tenant has used, by day (UTC).

  likeness usage
  likeness usage --tenant acme --days 62      needs a key with the role operator

Usage: likeness usage [FLAGS])";

std::string UsageTable(const v1::GetUsageResponse& usage) {
  std::vector<std::vector<std::string>> rows = {{"DAY", "WORKER TIME", "JOBS"}};
  for (const auto& day : usage.days()) {
    const auto& worked = day.worker_duration();
    rows.push_back({absl::FormatTime("%Y-%m-%d", ToTime(day.day()), absl::UTCTimeZone()),
                    ClockTime(absl::Seconds(worked.seconds()) + absl::Nanoseconds(worked.nanos())),
                    absl::StrCat(day.ended_jobs())});
  }
  return RenderTable(rows, TableColumns());
}

absl::StatusOr<ExitCode> Run(const Context& context, const std::string& tenant, int days) {
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(const auto usage,
                   GetUsage(connection, std::string(absl::StripPrefix(tenant, "tenants/")), days));
  if (context.structured()) {
    PrintResult(Format(context.output, usage));
    return kDone;
  }
  if (usage.days().empty()) {
    context.screen->Text(absl::StrCat("Nothing was used in the last ", Count(days, "day"), "."));
  } else {
    PrintResult(UsageTable(usage));
  }
  if (context.table()) {
    PrintResult(absl::StrCat(usage.days().empty() ? "" : "\n", ByteSize(usage.stored_bytes()),
                             " are stored now"));
  }
  return kDone;
}

}  // namespace

int Usage(const Args& arguments) {
  FlagSet flags(kUsage);
  std::string tenant;
  int days = 30;
  flags.Add("tenant", &tenant, "Of which tenant, if not of your own.").Takes("TENANT");
  flags.Add("days", &days, "How many days up to today, at most 62.").Takes("N");
  return RunCommand(flags, arguments, {},
                    [&](Context& context) { return Run(context, tenant, days); });
}

}  // namespace likeness::client
