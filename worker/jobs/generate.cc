#include "worker/jobs/generate.h"

#include "common/resource_names.h"
#include "common/sampler_names.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/config_reader.h"
#include "worker/base/io/model_json.h"
#include "worker/checkpoints/pipeline.h"
#include "worker/generation/pipeline_sampler.h"
#include "worker/jobs/engine_options.h"
#include "worker/jobs/keep_outputs.h"
#include "worker/jobs/pictures.h"
#include "worker/jobs/preflight.h"
#include "worker/jobs/resolve.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"
#include "worker/support/resident_memory.h"
#include "worker/training/personalized_model.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// The model that draws, wherever it comes from.
struct DrawingModel {
  Pipeline& pipeline;
  ModelFacts facts;
  PromptWords words;
};

PromptWords WordsFromCard(const fs::path& model_dir) {
  const auto card = ParseModelJson(ReadFile(model_dir / kCardFile), kCardFile);
  ConfigReader reader(kCardFile, card);
  PromptWords words;
  reader.Read("token", words.token);
  reader.Read("class_noun", words.class_noun);
  return words;
}

DrawingModel BaseModelOf(const v1::Lease& lease, Workshop& workshop) {
  const auto entry = ValueOrThrow(workshop.catalog.Find(lease.job().generate().model().name()));
  return {workshop.resident.Get(entry.facts.name, entry.facts.digest, entry.directory),
          entry.facts,
          {}};
}

DrawingModel PersonalizedModelOf(const v1::LeasedModel& model, JobEnvironment& environment,
                                 Phases& phases, Workshop& workshop) {
  const std::vector<v1::Output> files(model.files().begin(), model.files().end());
  Progress progress{.phase = Phase::kPreparing, .unit = "bytes"};
  for (const auto& file : files) progress.total += file.size_bytes();
  const auto stored =
      workshop.store.Assemble(files, [&](const std::string& blob, const fs::path& to) {
        ThrowIfStopped(environment.Stop());
        const int64_t before = progress.done;
        environment.FetchBlob(blob, to, [&](int64_t bytes) {
          progress.done = before + bytes;
          phases.Report(progress);
        });
      });
  Pipeline& pipeline = workshop.resident.Get(model.name(), stored.digest, stored.directory);
  return {.pipeline = pipeline,
          .facts = {.name = model.name(),
                    .digest = pipeline.digest,
                    .image_size = static_cast<int>(pipeline.image_size()),
                    .sampler = OwnSampler(stored.directory),
                    .defaults = ReadModelDefaults(stored.directory)},
          .words = WordsFromCard(stored.directory)};
}

}  // namespace

std::vector<std::string> SupportedSamplers() {
  std::vector<std::string> names;
  for (const SamplerName& sampler : SamplerNames()) names.emplace_back(sampler.name);
  return names;
}

JobResult Generate(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop) {
  Phases phases(environment, {Phase::kPreparing, Phase::kSamples, Phase::kUploading});
  const DrawingModel model =
      lease.models().empty() ? BaseModelOf(lease, workshop)
                             : PersonalizedModelOf(lease.models(0), environment, phases, workshop);
  JobResult result;
  result.resolved = ResolveGenerate(lease.job().generate(), model.facts);
  environment.Resolved(result.resolved);

  CheckGenerate(result.resolved.generate(), model.words, model.pipeline, environment);

  std::vector<Picture> pictures;
  DrawPictures(model.pipeline, GenerateOrder(result.resolved.generate(), model.words), environment,
               phases, pictures);
  result.outputs =
      KeepOutputs(WritePictures(pictures, environment), /*extras=*/{}, environment, phases);
  result.metrics = phases.Seconds();
  result.metrics["worker_peak_memory_bytes"] = ReadResidentMemory().peak_bytes;
  return result;
}

}  // namespace likeness
