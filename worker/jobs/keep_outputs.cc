#include "worker/jobs/keep_outputs.h"

#include "absl/strings/str_cat.h"
#include "worker/checkpoints/model_digest.h"
#include "worker/jobs/card_facts.h"
#include "worker/jobs/outputs.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"

namespace likeness {

std::vector<v1::Output> DescribeDirectory(const std::filesystem::path& directory,
                                          const std::string& name, v1::OutputKind kind) {
  std::vector<v1::Output> outputs;
  for (const auto& file : FilesBelow(directory)) {
    v1::Output output;
    output.set_kind(kind);
    output.set_path((std::filesystem::path(name) / file.lexically_relative(directory)).string());
    outputs.push_back(DescribeFile(file, DigestOfFile(file), output));
  }
  return outputs;
}

std::vector<v1::Output> DescribeModel(const std::filesystem::path& directory) {
  return DescribeDirectory(directory, kModelDir, v1::OUTPUT_KIND_MODEL_FILE);
}

absl::Status Attempt(JobEnvironment& environment, const std::function<void()>& make) {
  const absl::Status status = Guard(make);
  const bool ends_job = environment.Stop() != StopReason::kNone || absl::IsCancelled(status) ||
                        absl::IsAborted(status);
  if (!status.ok() && ends_job) throw StatusError(status);
  return status;
}

std::vector<v1::Output> KeepOutputs(const std::vector<v1::Output>& result,
                                    const std::vector<v1::Output>& extras,
                                    JobEnvironment& environment, Phases& phases) {
  Progress progress{.phase = Phase::kUploading, .unit = "bytes"};
  for (const auto* outputs : {&result, &extras}) {
    for (const auto& output : *outputs) progress.total += output.size_bytes();
  }
  phases.Report(progress);

  std::vector<v1::Output> kept;
  const auto keep = [&](const v1::Output& output) {
    ThrowIfStopped(environment.Stop());
    const int64_t before = progress.done;
    environment.Keep(environment.scratch() / output.path(), output, [&](int64_t bytes) {
      progress.done = before + bytes;
      phases.Report(progress);
    });
    progress.done = before + output.size_bytes();
    phases.Report(progress);
    kept.push_back(output);
  };
  for (const auto& output : result) keep(output);
  for (const auto& output : extras) {
    const absl::Status status = Attempt(environment, [&] { keep(output); });
    if (status.ok()) continue;
    environment.Warn(absl::StrCat(result.size() + extras.size() - kept.size(),
                                  " pictures could not be stored, from ", output.path(),
                                  " on: ", status.message()));
    break;
  }
  return kept;
}

}  // namespace likeness
