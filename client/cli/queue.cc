// likeness queue: what waits for a worker, of all tenants.
#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/names.h"
#include "client/cli/table.h"
#include "client/cli/text.h"
#include "client/lib/operators.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Jobs that wait for a worker, by tenant, method and base model.

  likeness queue
  likeness queue -o json

Needs a key with the role operator, where the server has keys. Your own jobs:
likeness list.

Usage: likeness queue [FLAGS])";

std::string QueueTable(const v1::GetQueueResponse& queue) {
  std::vector<std::vector<std::string>> rows = {
      {"TENANT", "METHOD", "BASE MODEL", "WAITING", "LATER", "OLDEST"}};
  for (const auto& group : queue.groups()) {
    const auto& oldest = group.oldest_wait();
    rows.push_back({ShortName(group.tenant()), group.method(),
                    group.base_model().empty() ? "(personalized)" : ShortName(group.base_model()),
                    absl::StrCat(group.waiting_jobs()), absl::StrCat(group.scheduled_jobs()),
                    group.has_oldest_wait() ? RoundTime(absl::Seconds(oldest.seconds()) +
                                                        absl::Nanoseconds(oldest.nanos()))
                                            : ""});
  }
  return RenderTable(rows, TableColumns());
}

absl::StatusOr<ExitCode> Run(const Context& context) {
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(const auto queue, GetQueue(connection));
  if (context.structured()) {
    PrintResult(Format(context.output, queue));
  } else if (!context.table()) {
    for (const auto& group : queue.groups()) PrintResult(ShortName(group.tenant()));
  } else if (queue.waiting_jobs() == 0) {
    context.screen->Text("No job waits.");
  } else {
    PrintResult(QueueTable(queue));
    PrintResult(absl::StrCat("\n", Count(queue.waiting_jobs(), "job"), " in all"));
  }
  return kDone;
}

}  // namespace

int Queue(const Args& arguments) {
  FlagSet flags(kUsage);
  return RunCommand(flags, arguments, {}, Run);
}

}  // namespace likeness::client
