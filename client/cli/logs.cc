// likeness logs: what happened to a job, a line for each event.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/follow.h"
#include "client/cli/interrupt.h"
#include "client/cli/names.h"
#include "client/cli/text.h"
#include "client/lib/jobs.h"
#include "client/lib/watch.h"
#include "common/job_phase.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] =
    R"(What happened to a job, a line for each event: changes of its state, phases,
pictures, checkpoints, warnings, its error. The server keeps events for a while
after the job has ended; then times, warnings and error are left.

  likeness logs rex-7f3c
  likeness logs rex-7f3c -f             and what happens from now on
  likeness logs rex-7f3c -o json        every event as a line of JSON

Usage: likeness logs JOB [FLAGS])";

void PrintLine(const google::protobuf::Timestamp& time, absl::string_view text) {
  PrintResult(
      absl::StrCat(absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", ToTime(time), absl::UTCTimeZone()), " ",
                   Printable(text)));
}

void PrintEnd(const v1::Job& job) {
  const auto error = job.has_error() ? absl::StrCat(": ", job.error().message()) : "";
  PrintLine(job.end_time(), absl::StrCat(StateText(job.state()), error));
}

void PrintJobSoFar(const v1::Job& job) {
  PrintLine(job.create_time(), "created");
  for (const auto& warning : job.warnings()) {
    PrintLine(job.create_time(), absl::StrCat("warning: ", warning));
  }
  if (job.has_start_time()) PrintLine(job.start_time(), "started");
  if (job.has_end_time()) PrintEnd(job);
}

std::string SeverityText(v1::LogSeverity severity) {
  if (severity == v1::LOG_SEVERITY_ERROR) return "error: ";
  return severity == v1::LOG_SEVERITY_WARNING ? "warning: " : "";
}

// Prints each event once.
class Events {
 public:
  explicit Events(const Context& context) : context_(context) {}

  void Print(const v1::JobEvent& event) {
    const bool seen_before = event.seq() > 0 && event.seq() <= last_seq_;
    if (seen_before) return;
    last_seq_ = std::max(last_seq_, event.seq());
    if (!event.resume_token().empty()) resume_token_ = event.resume_token();
    if (context_.structured()) return PrintResult(FormatInStream(context_.output, event));
    PrintText(event);
  }

  // "": nothing was printed yet.
  const std::string& resume_token() const { return resume_token_; }

 private:
  void PrintText(const v1::JobEvent& event) {
    switch (event.event_case()) {
      case v1::JobEvent::kStateChange: {
        const auto& change = event.state_change();
        if (change.has_job() && change.job().has_end_time()) return PrintEnd(change.job());
        const auto why = change.detail().empty() ? "" : absl::StrCat(": ", change.detail());
        return PrintLine(event.time(), absl::StrCat(StateText(change.to()), why));
      }
      case v1::JobEvent::kProgress:
        if (event.progress().phase() == phase_) return;
        phase_ = event.progress().phase();
        return PrintLine(event.time(), PhaseLabel(phase_));
      case v1::JobEvent::kSample:
        return PrintLine(event.time(), absl::StrCat("picture at step ", event.sample().step(),
                                                    ": \"", event.sample().prompt(), "\""));
      case v1::JobEvent::kCheckpoint:
        return PrintLine(event.time(),
                         absl::StrCat("checkpoint at step ", event.checkpoint().step()));
      case v1::JobEvent::kLog:
        return PrintLine(event.time(),
                         absl::StrCat(SeverityText(event.log().severity()), event.log().text()));
      case v1::JobEvent::kSnapshot:
        if (last_seq_ == 0) PrintJobSoFar(event.snapshot());
        return;
      default:
        return;
    }
  }

  const Context& context_;
  int64_t last_seq_ = 0;
  std::string resume_token_;
  v1::JobPhase phase_ = v1::JOB_PHASE_UNSPECIFIED;
};

absl::StatusOr<ExitCode> Run(const Context& context, bool follow) {
  Interrupt interrupt;
  ASSIGN_OR_RETURN(const Connection connection, context.Connect(interrupt.token()));
  ASSIGN_OR_RETURN(const auto name, JobNameFromArgument(connection, context.positional[0]));
  ASSIGN_OR_RETURN(const auto job, GetJob(connection, name));
  ASSIGN_OR_RETURN(const auto kept, ListJobEvents(connection, name));
  Events events(context);
  for (const auto& event : kept) events.Print(event);
  if (!follow || job.has_end_time()) {
    if (kept.empty() && !PrintObject(context, job, name)) PrintJobSoFar(job);
    return kDone;
  }
  const auto watched = WatchJob(
      connection, name, {.resume_token = events.resume_token()},
      [&](const v1::JobEvent& event) { events.Print(event); }, interrupt.token());
  if (interrupt.requested()) {
    ShowDetached(context, name);
    return kDetached;
  }
  RETURN_IF_ERROR(watched);
  return kDone;
}

}  // namespace

int Logs(const Args& arguments) {
  bool follow = false;
  FlagSet flags(kUsage);
  flags.Add("follow", &follow, "Stay until the job has ended.").Letter('f');
  return RunCommand(flags, arguments, {.at_least = 1, .at_most = 1, .kinds = {"JOB"}},
                    [&](Context& context) { return Run(context, follow); });
}

}  // namespace likeness::client
