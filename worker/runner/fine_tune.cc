#include "worker/runner/fine_tune.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "worker/runner/engine_options.h"
#include "worker/runner/guard.h"
#include "worker/runner/job_sheet.h"
#include "worker/runner/outputs.h"
#include "worker/runner/pictures.h"
#include "worker/runner/recipe_host.h"
#include "worker/runner/subject.h"
#include "worker/runner/worker_metrics.h"
#include "worker/training/dreambooth.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr char kModelPrefix[] = "model/";

std::vector<std::string> PhasesOf(const v1::FineTuneSpec& spec) {
  std::vector<std::string> phases = {"preparing"};
  if (spec.prior().weight() > 0) phases.push_back("class pictures");
  phases.push_back("training");
  if (spec.samples().prompts_size() > 0) phases.push_back("samples");
  phases.push_back("uploading");
  return phases;
}

// A resumed attempt uses what the first one resolved, and can do so only with the same base model.
v1::ResolvedSpec Resolve(const v1::Lease& lease, const ModelFacts& base) {
  if (!lease.has_checkpoint()) return ResolveFineTune(lease.job().fine_tune(), base);
  const auto& resolved = lease.checkpoint().resolved();
  if (resolved.base_model_digest() != base.digest) {
    ThrowIfError(
        RpcError(absl::StatusCode::kFailedPrecondition, "BASE_MODEL_CHANGED",
                 absl::StrCat(base.name, " has digest ", base.digest,
                              " here; the job was begun with ", resolved.base_model_digest())));
  }
  return resolved;
}

std::optional<fs::path> FetchCheckpoint(const v1::Lease& lease, JobEnvironment& environment) {
  if (!lease.has_checkpoint()) return std::nullopt;
  const fs::path file = environment.scratch() / "resumed.safetensors";
  environment.FetchBlob(lease.checkpoint().blob(), file);
  return file;
}

// The files of a model's directory as outputs below "model/".
std::vector<v1::Output> DescribeModel(const fs::path& directory) {
  std::vector<v1::Output> outputs;
  for (const auto& file : FilesBelow(directory)) {
    v1::Output output;
    output.set_kind(v1::OUTPUT_KIND_MODEL_FILE);
    output.set_path(kModelPrefix + file.lexically_relative(directory).string());
    outputs.push_back(DescribeFile(file, output));
  }
  return outputs;
}

// Draws with the finished model, which thereby becomes the one in memory: it is the one that is
// asked for next.
std::vector<Picture> DrawSamples(const v1::FineTuneSpec& spec, const std::string& model_name,
                                 const StoredModel& stored, JobEnvironment& environment,
                                 Phases& phases, Workshop& workshop) {
  if (spec.samples().prompts_size() == 0) return {};
  Pipeline& model = workshop.resident.Get(model_name, stored.digest, stored.directory);
  return DrawPictures(model, SampleOrder(spec), environment, phases);
}

void KeepAll(const std::vector<v1::Output>& outputs, JobEnvironment& environment, Phases& phases) {
  int64_t total = 0, done = 0;
  for (const auto& output : outputs) total += output.size_bytes();
  for (const auto& output : outputs) {
    ThrowIfStopped(environment.Stop());
    environment.Keep(environment.scratch() / output.path(), output);
    phases.Report("uploading", done += output.size_bytes(), total, "bytes");
  }
}

std::map<std::string, double> Figures(const DreamBoothResult& trained, Phases& phases) {
  auto figures = phases.Seconds();
  if (!trained.losses.empty()) figures["loss"] = trained.losses.back();
  if (trained.validation_loss_before) {
    figures["validation_loss_before"] = *trained.validation_loss_before;
  }
  if (trained.validation_loss_after) {
    figures["validation_loss_after"] = *trained.validation_loss_after;
  }
  figures["worker_peak_memory_bytes"] = ReadResidentMemory().peak_bytes;
  return figures;
}

}  // namespace

JobResult FineTune(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop) {
  // Prepare: what is learned, from what, with what.
  const auto base = ValueOrThrow(workshop.catalog.Find(lease.job().fine_tune().base_model()));
  JobResult result{.resolved = Resolve(lease, base.facts), .outputs = {}, .metrics = {}};
  const v1::FineTuneSpec& spec = result.resolved.fine_tune();
  Phases phases(environment, PhasesOf(spec));
  environment.Resolved(result.resolved);
  const auto photos = FetchPhotos(spec.subject(), base.facts.image_size, environment);
  Pipeline& model = workshop.resident.Get(base.facts.name, base.facts.digest, base.directory);
  CheckToken(spec.subject(), model.tokenizer, environment);

  // Train
  const fs::path model_dir = environment.scratch() / "model";
  RecipeHost host(environment, phases, FetchCheckpoint(lease, environment), spec.samples().seed());
  const auto trained = TrainDreamBooth(model, ToDreamBoothOptions(spec, photos),
                                       {.base_model = base.directory,
                                        .class_image_cache = workshop.class_image_cache,
                                        .output_model = model_dir},
                                       host);

  // Draw
  result.outputs = DescribeModel(model_dir);
  const auto stored = workshop.store.Adopt(model_dir, result.outputs);
  const auto pictures =
      DrawSamples(spec, lease.job().output_model(), stored, environment, phases, workshop);
  const auto append = [&](const std::vector<v1::Output>& more) {
    result.outputs.insert(result.outputs.end(), more.begin(), more.end());
  };
  append(WritePictures(pictures, environment));
  append(WriteContactSheet(photos, pictures, environment));

  // Keep
  KeepAll(result.outputs, environment, phases);
  append(host.previews());
  result.metrics = Figures(trained, phases);
  return result;
}

}  // namespace likeness
