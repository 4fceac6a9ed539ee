// likeness wait: for scripts that go on when something has come about.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/interrupt.h"
#include "client/cli/names.h"
#include "client/lib/backoff.h"
#include "client/lib/jobs.h"
#include "client/lib/watch.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] =
    R"(Wait until jobs have ended or are in a state, or until the server is ready.

  likeness wait rex-7f3c
  likeness wait rex-7f3c tom-1a2b --for succeeded --timeout 30m
  likeness wait --for ready

--for ended is the default. --for ready takes no job: it waits until the server
answers and has a base model to train from. Exit code 1: a job ended otherwise,
or the time was up.

Usage: likeness wait [JOB...] [FLAGS])";

constexpr char kStates[] = "ended|succeeded|failed|cancelled|running|ready";
constexpr size_t kMostJobs = 1000;

struct WaitFlags {
  std::string wanted = "ended";
  absl::Duration timeout = absl::InfiniteDuration();
};

// Requests a stop when the time is up, or the other token asks for one.
class Deadline {
 public:
  Deadline(absl::Duration after, std::stop_token other)
      : on_other_(other, [this] { stop_.request_stop(); }) {
    if (after == absl::InfiniteDuration()) return;
    timer_ = std::jthread([this, after](std::stop_token ended) {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, ended, absl::ToChronoMilliseconds(after), [] { return false; });
      if (ended.stop_requested()) return;
      passed_ = true;
      stop_.request_stop();
    });
  }

  std::stop_token token() const { return stop_.get_token(); }
  bool passed() const { return passed_; }

 private:
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> on_other_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::atomic<bool> passed_ = false;
  std::jthread timer_;
};

bool HasEnded(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_CANCELLED;
}

bool IsWanted(v1::JobState state, const std::string& wanted) {
  return wanted == "ended" ? HasEnded(state) : StateText(state) == wanted;
}

// " has not ended", " is not running"
std::string NotYet(const std::string& wanted) {
  const bool passive = wanted == "running" || wanted == "cancelled";
  return absl::StrCat(passive ? " is not " : " has not ", wanted);
}

// The state in which the job was when it was as wanted, or had ended.
absl::StatusOr<v1::JobState> WaitForJob(const Connection& connection, const std::string& name,
                                        const std::string& wanted, std::stop_token stop) {
  ASSIGN_OR_RETURN(const auto job, GetJob(connection, name));
  v1::JobState state = job.state();
  if (IsWanted(state, wanted) || HasEnded(state)) return state;
  std::stop_source seen;
  std::stop_callback on_stop(stop, [&] { seen.request_stop(); });
  const auto watched = WatchJob(
      connection, name, {},
      [&](const v1::JobEvent& event) {
        if (event.has_snapshot()) state = event.snapshot().state();
        if (event.has_state_change()) state = event.state_change().to();
        if (IsWanted(state, wanted)) seen.request_stop();
      },
      seen.get_token());
  if (!IsWanted(state, wanted) && !HasEnded(state)) RETURN_IF_ERROR(watched);
  return state;
}

absl::StatusOr<ExitCode> WaitForJobs(const Context& context, const WaitFlags& flags,
                                     const Interrupt& interrupt, Deadline& deadline) {
  ASSIGN_OR_RETURN(const Connection connection, context.Connect(interrupt.token()));
  std::vector<std::string> names;
  for (const auto& argument : context.positional) {
    ASSIGN_OR_RETURN(names.emplace_back(), JobNameFromArgument(connection, argument));
  }
  ExitCode code = kDone;
  for (const auto& name : names) {
    const auto state = WaitForJob(connection, name, flags.wanted, deadline.token());
    // What is known of the job goes before the time: it may have ended just in time, or long ago.
    const bool decided = state.ok() && (IsWanted(*state, flags.wanted) || HasEnded(*state));
    if (!decided && interrupt.requested()) return kDetached;
    if (!decided && deadline.passed()) {
      context.screen->Line(Mark::kFailed, "wait",
                           absl::StrCat(ShortName(name), NotYet(flags.wanted), " after ",
                                        absl::FormatDuration(flags.timeout)));
      return kJobFailed;
    }
    RETURN_IF_ERROR(state.status());
    const bool as_wanted = IsWanted(*state, flags.wanted);
    if (!as_wanted) code = kJobFailed;
    if (context.structured()) {
      ASSIGN_OR_RETURN(const auto job, GetJob(connection, name));
      PrintResult(FormatInStream(context.output, job));
    } else if (!context.table()) {
      PrintResult(ShortName(name));
    } else {
      context.screen->Line(as_wanted ? Mark::kDone : Mark::kFailed, StateText(*state),
                           ShortName(name));
    }
  }
  return code;
}

absl::StatusOr<ExitCode> WaitForServer(const Context& context, const WaitFlags& flags,
                                       const Interrupt& interrupt, Deadline& deadline) {
  ASSIGN_OR_RETURN(const Connection connection, context.Connect(interrupt.token()));
  Backoff backoff({.first = absl::Milliseconds(100),
                   .longest = absl::Seconds(1),
                   .give_up_after = absl::InfiniteDuration()});
  while (true) {
    const auto capabilities = GetCapabilities(connection);
    if (capabilities.ok() && !capabilities->base_models().empty()) {
      if (context.table()) context.screen->Line(Mark::kDone, "ready", context.server);
      return kDone;
    }
    const bool later = capabilities.ok() || absl::IsUnavailable(capabilities.status());
    if (!later) return capabilities.status();
    if (backoff.Wait(deadline.token())) continue;
    if (interrupt.requested()) return kDetached;
    context.screen->Line(
        Mark::kFailed, "wait",
        absl::StrCat(context.server,
                     capabilities.ok() ? " has no base model after " : " does not answer after ",
                     absl::FormatDuration(flags.timeout)));
    return kJobFailed;
  }
}

absl::StatusOr<ExitCode> Run(const Context& context, const WaitFlags& flags) {
  const bool known =
      absl::StrContains(absl::StrCat("|", kStates, "|"), absl::StrCat("|", flags.wanted, "|"));
  if (!known || flags.wanted.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--for is '", flags.wanted, "'; ", kStates, " are allowed."));
  }
  if (flags.timeout < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--timeout is ", absl::FormatDuration(flags.timeout), "; 0s or more is allowed."));
  }
  const bool ready = flags.wanted == "ready";
  if (ready != context.positional.empty()) {
    return absl::InvalidArgumentError(ready ? "--for ready takes no JOB."
                                            : "JOB is missing: likeness wait JOB.");
  }
  Interrupt interrupt;
  Deadline deadline(flags.timeout, interrupt.token());
  return ready ? WaitForServer(context, flags, interrupt, deadline)
               : WaitForJobs(context, flags, interrupt, deadline);
}

}  // namespace

int Wait(const Args& arguments) {
  WaitFlags values;
  FlagSet flags(kUsage);
  flags.Add("for", &values.wanted, "What to wait for.").Takes(kStates);
  flags.Add("timeout", &values.timeout, "How long at most, e.g. 30m.").Takes("DURATION");
  return RunCommand(flags, arguments, {.at_most = kMostJobs, .kinds = {"JOB"}},
                    [&](Context& context) { return Run(context, values); });
}

}  // namespace likeness::client
