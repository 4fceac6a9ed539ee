#include "client/cli/follow.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "client/cli/describe.h"
#include "client/cli/job_view.h"
#include "client/cli/names.h"
#include "client/cli/outputs.h"
#include "client/cli/report.h"
#include "client/lib/jobs.h"
#include "client/lib/watch.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kLivePreview[] = "preview.jpg";

// The newest preview of pictures that are being drawn; it comes with the event.
absl::StatusOr<std::string> WriteLivePreview(const v1::SampleEvent& sample,
                                             const std::string& folder) {
  v1::Output file;
  file.set_path(kLivePreview);
  return WriteOutput(file, sample.preview(), folder, Existing::kReplace);
}

// The picture of a sample event as a file; empty if there is no folder for it, or it could not be
// had: a preview is not worth an error.
std::string FetchPreview(const Connection& connection, const v1::SampleEvent& sample,
                         const std::string& folder) {
  if (folder.empty()) return "";
  if (!sample.has_output()) return WriteLivePreview(sample, folder).value_or("");
  return DownloadOutput(connection, sample.output(), folder, Existing::kKeep, connection.stop())
      .value_or("");
}

// Events do not tell how the queue moves; while a job waits, the stream's bookmarks are the moment
// to ask.
void RefreshQueuePosition(const Connection& connection, JobView& view, const std::string& name) {
  if (view.state() != v1::JOB_STATE_PENDING) return;
  auto job = GetJob(connection, name);
  if (job.ok() && job->state() == v1::JOB_STATE_PENDING) view.ApplyJob(*job, absl::Now());
}

absl::Status ShowEvents(const Context& context, const Connection& connection,
                        const std::string& name, const FollowOptions& options,
                        std::stop_token stop) {
  JobView view(*context.screen, context.names);
  WatchOptions watch;
  watch.on_lost = [&](const absl::Status& status) {
    view.ConnectionLost(std::string(status.message()));
  };
  return WatchJob(
      connection, name, watch,
      [&](const v1::JobEvent& event) {
        if (options.print_events) {
          context.screen->ClearProgress();  // both may be the same terminal
          PrintResult(FormatInStream(context.output, event));
        }
        const auto preview =
            event.has_sample() ? FetchPreview(connection, event.sample(), options.folder) : "";
        view.Apply(event, preview);
        if (event.has_bookmark()) RefreshQueuePosition(connection, view, name);
      },
      stop);
}

// Fetches what is for people; the outputs of `job` that were fetched get the paths at which they
// lie below the folder.
absl::StatusOr<std::vector<std::string>> FetchResults(const Context& context,
                                                      const Connection& connection,
                                                      const FollowOptions& options,
                                                      const Interrupt& interrupt, v1::Job& job) {
  for (v1::Output& output : *job.mutable_outputs()) {
    if (options.flat && IsPicture(output)) output.set_path(ShortName(output.path()));
  }
  ASSIGN_OR_RETURN(const auto files,
                   DownloadOutputs(connection, job, options.folder, IsForPeople, Existing::kKeep,
                                   *context.screen, interrupt.token()));
  auto file = files.begin();
  for (v1::Output& output : *job.mutable_outputs()) {
    if (!IsForPeople(output)) continue;
    output.set_path(std::filesystem::path(*file++).lexically_relative(options.folder).string());
  }
  return files;
}

// Ends a job that succeeded on this machine: its results here, and told.
absl::StatusOr<ExitCode> BringHome(const Context& context, const Connection& connection,
                                   const v1::Job& job, const FollowOptions& options,
                                   const Interrupt& interrupt) {
  v1::Job here = job;
  absl::StatusOr<std::vector<std::string>> files = std::vector<std::string>();
  if (!options.folder.empty()) {
    files = FetchResults(context, connection, options, interrupt, here);
    context.screen->ClearProgress();
  }
  if (!files.ok() && interrupt.requested()) {
    context.screen->Text(
        absl::StrCat("Stopped. The rest: ",
                     CommandHint(context, absl::StrCat("download ", ShortName(job.name())))));
    return kDetached;
  }
  if (options.print_job) PrintObject(context, job, job.name());
  if (context.table() && options.print_files && files.ok()) {
    for (const auto& file : *files) PrintResult(file);
  } else if (context.table() && !options.print_files) {
    ReportSuccess(context, here, options.folder, files.ok() && !files->empty());
  }
  RETURN_IF_ERROR(WithDownloadHint(context, job.name(), files.status()));
  return kDone;
}

}  // namespace

absl::Status WithDownloadHint(const Context& context, const std::string& job,
                              const absl::Status& status) {
  if (status.ok() || !ErrorReason(status).empty()) return status;
  const auto again = CommandHint(context, absl::StrCat("download ", ShortName(job)));
  return absl::Status(status.code(), absl::StrCat(status.message(), " The server keeps it; ", again,
                                                  " --out DIR fetches it."));
}

absl::StatusOr<std::optional<v1::Job>> SubmitJob(const Context& context,
                                                 const Connection& connection,
                                                 const v1::CreateJobRequest& request,
                                                 const Interrupt& interrupt) {
  auto job = CreateJob(connection, request, interrupt.token());
  if (!job.ok() && interrupt.requested()) {
    ShowNotAccepted(context);
    return std::nullopt;
  }
  RETURN_IF_ERROR(job.status());
  ShowQueued(context, *job);
  return *std::move(job);
}

void ShowNotAccepted(const Context& context) {
  context.screen->ClearProgress();
  context.screen->Text("Stopped before the job was accepted. likeness list shows what runs.");
}

void ShowQueued(const Context& context, const v1::Job& job) {
  context.screen->Line(
      Mark::kDone, "queued",
      absl::StrCat("jobs/", ShortName(job.name()), " · ", QueueText(job, absl::Now())));
}

void PrintJobOrName(const Context& context, const v1::Job& job) {
  if (!PrintObject(context, job, job.name())) PrintResult(ShortName(job.name()));
}

void ShowDetached(const Context& context, const std::string& name) {
  const auto job = ShortName(name);
  context.screen->ClearProgress();
  context.screen->Text(
      absl::StrCat("Detached. The job continues.\nCome back: ",
                   CommandHint(context, absl::StrCat("watch ", job)),
                   " · stop it: ", CommandHint(context, absl::StrCat("cancel ", job))));
}

absl::StatusOr<ExitCode> FollowJob(const Context& context, const Connection& connection,
                                   const std::string& name, const FollowOptions& options,
                                   const Interrupt& interrupt) {
  auto watched = ShowEvents(context, connection, name, options, interrupt.token());
  if (interrupt.requested()) {
    ShowDetached(context, name);
    return kDetached;
  }
  RETURN_IF_ERROR(watched);
  ASSIGN_OR_RETURN(auto job, GetJob(connection, name));
  const bool succeeded = job.state() == v1::JOB_STATE_SUCCEEDED;
  if (succeeded && job.generate().preview_every_steps() > 0 && !options.folder.empty()) {
    std::error_code ignored;  // there may have been none
    std::filesystem::remove(std::filesystem::path(options.folder) / kLivePreview, ignored);
  }
  if (succeeded) return BringHome(context, connection, job, options, interrupt);
  if (options.print_job) PrintObject(context, job, job.name());
  return kJobFailed;
}

ExitCode LeaveJob(const Context& context, const v1::Job& job) {
  PrintJobOrName(context, job);
  ShowDetached(context, job.name());
  return kDone;
}

absl::StatusOr<ExitCode> FollowOwnJob(const Context& context, const Connection& connection,
                                      const v1::Job& job, const std::string& out,
                                      const Interrupt& interrupt) {
  return FollowJob(
      context, connection, job.name(),
      {.folder = out.empty() ? ShortName(job.name()) : out, .print_job = !context.table()},
      interrupt);
}

}  // namespace likeness::client
