// likeness logs: what happened to a job, a line for each event.
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
    R"(What is known of a job, line by line: when it was created, began and ended, its warnings,
its error. With -f also what happens from now on, until it has ended.

  likeness logs rex-7f3c
  likeness logs rex-7f3c -f
  likeness logs rex-7f3c -f -o json     every event as a line of JSON

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

// Lines of the events behind the snapshot.
class Events {
 public:
  void Print(const v1::JobEvent& event) {
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
      case v1::JobEvent::kBookmark:
      case v1::JobEvent::EVENT_NOT_SET:
        return;
    }
  }

 private:
  v1::JobPhase phase_ = v1::JOB_PHASE_UNSPECIFIED;
};

absl::StatusOr<ExitCode> Run(const Context& context, bool follow) {
  Interrupt interrupt;
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(const auto name, JobNameFromArgument(connection, context.positional[0]));
  ASSIGN_OR_RETURN(const auto job, GetJob(connection, name));
  if (!follow) {
    if (!PrintObject(context, job, name)) PrintJobSoFar(job);
    return kDone;
  }
  Events events;
  const auto watched = WatchJob(
      connection, name, {},
      [&](const v1::JobEvent& event) {
        if (context.structured()) {
          PrintResult(FormatInStream(context.output, event));
        } else if (event.has_snapshot()) {
          PrintJobSoFar(event.snapshot());
        } else {
          events.Print(event);
        }
      },
      interrupt.token());
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
