// likeness workers, drain and undrain: the machines that do the jobs.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/enum_flag.h"
#include "client/cli/interrupt.h"
#include "client/cli/names.h"
#include "client/cli/table.h"
#include "client/cli/text.h"
#include "client/lib/backoff.h"
#include "client/lib/operators.h"
#include "common/nearest.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kWorkersUsage[] = R"(Workers, what they run, and when the server heard of them last.

  likeness workers
  likeness workers -o json

Needs a key with the role operator, where the server has keys.

Usage: likeness workers [FLAGS])";

constexpr char kDrainUsage[] =
    R"(Give a worker no more jobs, so that its machine can be stopped or upgraded.

  likeness drain gpu-1 --wait            until it has finished its job
  likeness drain gpu-1 --release-job     its job continues elsewhere
  likeness undrain gpu-1

Needs a key with the role operator, where the server has keys.

Usage: likeness drain WORKER... [FLAGS])";

constexpr char kUndrainUsage[] = R"(Give jobs to a drained worker again.

  likeness undrain gpu-1

Needs a key with the role operator, where the server has keys.

Usage: likeness undrain WORKER... [FLAGS])";

constexpr size_t kMostWorkers = 100;

std::string StateOf(const v1::Worker& worker) {
  // It lives no more, or cannot reach the server.
  const bool gone = worker.state() == v1::WORKER_STATE_UNSPECIFIED;
  const std::string state = gone ? "gone" : EnumWord(worker.state());
  return worker.rehearsal() ? state + ", rehearsing" : state;
}

std::string JobsOf(const v1::Worker& worker) {
  return absl::StrJoin(worker.jobs(), " ", [](std::string* out, const std::string& job) {
    out->append(ShortName(job));
  });
}

std::string WorkerTable(const v1::ListWorkersResponse& list, absl::Time now) {
  std::vector<std::vector<std::string>> rows = {
      {"WORKER", "STATE", "DEVICE", "MEMORY", "JOB", "VERSION", "SEEN"}};
  for (const auto& worker : list.workers()) {
    const bool seen = worker.has_last_poll_time();
    rows.push_back(
        {ShortName(worker.name()), StateOf(worker), worker.device(),
         worker.device_memory_bytes() > 0 ? ByteSize(worker.device_memory_bytes()) : "",
         JobsOf(worker), worker.version(),
         seen ? absl::StrCat(RoundTime(now - ToTime(worker.last_poll_time())), " ago") : "never"});
  }
  return RenderTable(rows, TableColumns());
}

absl::StatusOr<ExitCode> RunWorkers(const Context& context) {
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(const auto list, ListWorkers(connection));
  if (context.structured()) {
    PrintResult(Format(context.output, list));
  } else if (!context.table()) {
    for (const auto& worker : list.workers()) PrintResult(ShortName(worker.name()));
  } else if (list.workers().empty()) {
    context.screen->Text("No worker has asked for a job yet: likeness-worker serve");
  } else {
    PrintResult(WorkerTable(list, absl::Now()));
  }
  return kDone;
}

std::string WorkerName(const std::string& argument) {
  return absl::StrCat("workers/", absl::StripPrefix(argument, "workers/"));
}

// A worker that nobody has seen may be meant, but rather a name was mistyped.
absl::Status CheckKnown(const v1::ListWorkersResponse& list, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& worker : list.workers()) {
    if (worker.name() == name) return absl::OkStatus();
    names.push_back(ShortName(worker.name()));
  }
  const auto nearest = Nearest(ShortName(name), names);
  return absl::InvalidArgumentError(
      absl::StrCat("There is no worker '", ShortName(name), "'.",
                   nearest.empty() ? "" : absl::StrCat(" Did you mean '", nearest, "'?"),
                   " likeness workers lists them."));
}

// The names of the workers that the command line says; all of them are known.
absl::StatusOr<std::vector<std::string>> KnownWorkers(const Context& context,
                                                      const Connection& connection) {
  ASSIGN_OR_RETURN(const auto list, ListWorkers(connection));
  std::vector<std::string> names;
  for (const auto& argument : context.positional) {
    names.push_back(WorkerName(argument));
    RETURN_IF_ERROR(CheckKnown(list, names.back()));
  }
  return names;
}

// Until none of the workers runs a job.
absl::StatusOr<ExitCode> WaitUntilDrained(const Context& context,
                                          const std::vector<std::string>& names) {
  Interrupt interrupt;
  ASSIGN_OR_RETURN(const Connection connection, context.Connect(interrupt.token()));
  Backoff pause({.first = absl::Milliseconds(200),
                 .longest = absl::Seconds(2),
                 .give_up_after = absl::InfiniteDuration()});
  while (true) {
    const auto list = ListWorkers(connection);
    if (!list.ok() && !absl::IsUnavailable(list.status())) return list.status();
    const bool busy =
        !list.ok() ||
        std::any_of(list->workers().begin(), list->workers().end(), [&](const v1::Worker& worker) {
          return !worker.jobs().empty() &&
                 std::find(names.begin(), names.end(), worker.name()) != names.end();
        });
    if (!busy) {
      context.screen->Line(Mark::kDone, "drain", "no job is left");
      return kDone;
    }
    if (!pause.Wait(interrupt.token())) return kDetached;
  }
}

struct DrainOptions {
  bool release_job = false;
  bool wait = false;
};

absl::StatusOr<ExitCode> RunDrain(const Context& context, const DrainOptions& options) {
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(const auto names, KnownWorkers(context, connection));
  for (const auto& name : names) {
    RETURN_IF_ERROR(DrainWorker(connection, name, options.release_job));
    PrintResult(ShortName(name));
  }
  if (options.wait) return WaitUntilDrained(context, names);
  return kDone;
}

absl::StatusOr<ExitCode> RunUndrain(const Context& context) {
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(const auto names, KnownWorkers(context, connection));
  for (const auto& name : names) {
    RETURN_IF_ERROR(UndrainWorker(connection, name));
    PrintResult(ShortName(name));
  }
  return kDone;
}

}  // namespace

int Workers(const Args& arguments) {
  FlagSet flags(kWorkersUsage);
  return RunCommand(flags, arguments, {}, RunWorkers);
}

int Drain(const Args& arguments) {
  FlagSet flags(kDrainUsage);
  DrainOptions options;
  flags.Add(
      "release-job", &options.release_job,
      "Do not wait for the end of the job that the worker runs: it is given back, and goes on "
      "from its checkpoint on another worker.");
  flags.Add("wait", &options.wait,
            "Wait until the worker runs no job. Ctrl-C ends the wait alone.");
  return RunCommand(flags, arguments, {.at_least = 1, .at_most = kMostWorkers, .kinds = {"WORKER"}},
                    [&](Context& context) { return RunDrain(context, options); });
}

int Undrain(const Args& arguments) {
  FlagSet flags(kUndrainUsage);
  return RunCommand(flags, arguments, {.at_least = 1, .at_most = kMostWorkers, .kinds = {"WORKER"}},
                    RunUndrain);
}

}  // namespace likeness::client
