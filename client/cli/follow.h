// Handing in a job and staying with it to its end: what the commands that make jobs and `watch`
// share.
#pragma once

#include <optional>
#include <string>

#include "client/cli/command.h"
#include "client/cli/interrupt.h"

namespace likeness::client {

struct FollowOptions {
  std::string folder;         // previews and pictures go there; empty: they stay on the server
  bool print_events = false;  // every event as a line of JSON on stdout
  bool print_job = false;     // the job on stdout at the end, as --output says
  bool print_files = false;   // the pictures' files on stdout, instead of a report
  bool flat = false;          // pictures straight into the folder, not into samples/
};

// Shows the job's progress until it ends, fetches its pictures and reports. Ctrl-C detaches: the
// job continues.
absl::StatusOr<ExitCode> FollowJob(const Context& context, const Connection& connection,
                                   const std::string& name, const FollowOptions& options,
                                   const Interrupt& interrupt);

// `status` with how to fetch what `job` made, if it is this machine that could not hold it.
absl::Status WithDownloadHint(const Context& context, const std::string& job,
                              const absl::Status& status);

// Hands a job in, and shows that the server has accepted it and when it is to begin. Null: Ctrl-C
// came first, and that was shown.
absl::StatusOr<std::optional<v1::Job>> SubmitJob(const Context& context,
                                                 const Connection& connection,
                                                 const v1::CreateJobRequest& request,
                                                 const Interrupt& interrupt);

// That Ctrl-C came before the server had accepted the job.
void ShowNotAccepted(const Context& context);

// That the server has accepted the job, and when it is to begin.
void ShowQueued(const Context& context, const v1::Job& job);

// The job on stdout, as --output says; else its id.
void PrintJobOrName(const Context& context, const v1::Job& job);

// How to come back to a job that goes on.
void ShowDetached(const Context& context, const std::string& name);

// For a job that is left to itself: which one it is, and how to come back to it.
ExitCode LeaveJob(const Context& context, const v1::Job& job);

// FollowJob for the job of a command whose --out is `out`: by default a folder of the job's name.
absl::StatusOr<ExitCode> FollowOwnJob(const Context& context, const Connection& connection,
                                      const v1::Job& job, const std::string& out,
                                      const Interrupt& interrupt);

}  // namespace likeness::client
