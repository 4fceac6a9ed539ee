// likeness-worker run: one job, without a server.
#include <cstdio>
#include <string>
#include <vector>

#include "common/status_macros.h"
#include "worker/commands/commands.h"
#include "worker/commands/offline_environment.h"
#include "worker/commands/offline_job.h"
#include "worker/commands/worker_setup.h"
#include "worker/support/command_flags.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"
#include "worker/support/proto_json.h"
#include "worker/wire/shutdown.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr char kUsage[] = R"(Usage: likeness-worker run --job FILE.json --out DIR [FLAGS]

Does a job without a server. FILE.json is a Job of the contract in its JSON
form, as given to CreateJob; or the `resolved` message of an earlier one, which
gives the same bytes again. DIR receives the outputs and job.json, the finished
Job. Stopped by Ctrl-C, the same command goes on from the last checkpoint.
)";

struct RunFlags {
  WorkerFlags worker;
  std::string job;
  std::string photos;
  std::vector<std::string> models;
  std::string out;
};

// The finished job, as a server would show it.
v1::Job Finished(v1::Job job, const JobResult& result, const OfflineEnvironment& environment) {
  job.set_state(v1::JOB_STATE_SUCCEEDED);
  *job.mutable_resolved() = result.resolved;
  job.mutable_outputs()->Add(result.outputs.begin(), result.outputs.end());
  job.mutable_metrics()->insert(result.metrics.begin(), result.metrics.end());
  job.mutable_warnings()->Add(environment.warnings().begin(), environment.warnings().end());
  return job;
}

absl::Status Run(const RunFlags& flags) {
  RETURN_IF_ERROR(RequireFlag("job", flags.job));
  RETURN_IF_ERROR(RequireFlag("out", flags.out));
  RETURN_IF_ERROR(MakeDirectory("cache-dir", flags.worker.cache_dir));
  RETURN_IF_ERROR(MakeDirectory("out", flags.out));
  Shutdown shutdown;  // before any other thread
  ASSIGN_OR_RETURN(const auto workshop, SetUp(flags.worker));
  ASSIGN_OR_RETURN(const OfflineJob offline, ReadOfflineJob(flags.job, flags.photos, flags.models));
  return Guard([&] {
    OfflineEnvironment environment(flags.out, offline, JobDigest(offline.job), shutdown);
    v1::Lease lease;
    *lease.mutable_job() = offline.job;
    lease.mutable_models()->Add(offline.models.begin(), offline.models.end());
    if (lease.job().output_model().empty()) lease.mutable_job()->set_output_model("offline");
    if (const auto checkpoint = environment.LatestCheckpoint()) {
      *lease.mutable_checkpoint() = *checkpoint;
    }
    const JobResult result = RunJob(lease, environment, *workshop);
    WriteFile(fs::path(flags.out) / "job.json", ToJson(Finished(lease.job(), result, environment)));
    environment.ForgetCheckpoint();
    std::printf("%s\n", flags.out.c_str());
  });
}

}  // namespace

int RunCommand(const CommandLine& arguments) {
  RunFlags options;
  options.worker.log_level = "warning";
  FlagSet flags(kUsage);
  flags.Add("job", &options.job, "The job, as JSON.");
  flags.Add(
      "photos", &options.photos,
      "Directory of photos, each with its caption in a text file beside it: all of them if the job "
      "names none, else those it names by digest.");
  flags.Add(
      "model", &options.models,
      "Directory of a personalized model that the job draws with, such as the folder model of "
      "an earlier job; repeated for its adapters, in their order.");
  flags.Add("out", &options.out, "Directory for what is made.");
  options.worker.AddTo(flags);
  return RunWithFlags(flags, arguments, [&] { return Run(options); });
}

}  // namespace likeness
