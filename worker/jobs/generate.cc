#include "worker/jobs/generate.h"

#include "common/resource_names.h"
#include "common/sampler_names.h"
#include "worker/base/error.h"
#include "worker/exports/personalized_model.h"
#include "worker/families/family.h"
#include "worker/generation/pipeline_sampler.h"
#include "worker/jobs/card_facts.h"
#include "worker/jobs/engine_options.h"
#include "worker/jobs/keep_outputs.h"
#include "worker/jobs/pictures.h"
#include "worker/jobs/preflight.h"
#include "worker/jobs/resolve.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"
#include "worker/support/resident_memory.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// The model that draws, wherever it comes from.
struct DrawingModel {
  Family& model;
  ModelFacts facts;
  PromptWords words;
};

DrawingModel BaseModelOf(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop) {
  const auto entry = ValueOrThrow(workshop.catalog.Find(lease.job().generate().model().name()));
  return {workshop.warm.GetBase(entry.facts.name, entry.facts.digest, entry.directory,
                                [&] { ThrowIfStopped(environment.Stop()); }),
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
  const CardFacts card = ReadCardFacts(stored.directory / kCardFile);
  if (card.rehearsed_image_size > 0) {
    throw Error(ErrorKind::kFailedPrecondition,
                model.name() + " was made by a rehearsing worker: it cannot be drawn with");
  }
  Family& family = workshop.warm.Get(model.name(), stored.digest, stored.directory,
                                     [&] { ThrowIfStopped(environment.Stop()); });
  return {.model = family,
          .facts = {.name = model.name(),
                    .digest = family.digest(),
                    .image_size = static_cast<int>(family.image_size()),
                    .sampler = OwnSampler(stored.directory),
                    .defaults = ReadModelDefaults(stored.directory)},
          .words = card.words};
}

}  // namespace

std::vector<std::string> SupportedSamplers() {
  std::vector<std::string> names;
  for (const SamplerName& sampler : SamplerNames()) names.emplace_back(sampler.name);
  return names;
}

JobResult Generate(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop) {
  Phases phases(environment, {Phase::kPreparing, Phase::kSamples, Phase::kUploading});
  const DrawingModel drawing =
      lease.models().empty() ? BaseModelOf(lease, environment, workshop)
                             : PersonalizedModelOf(lease.models(0), environment, phases, workshop);
  JobResult result;
  result.resolved = ResolveGenerate(lease.job().generate(), drawing.facts);
  environment.Resolved(result.resolved);

  CheckGenerate(result.resolved.generate(), drawing.words, drawing.model, environment);

  std::vector<Picture> pictures;
  DrawPictures(drawing.model, GenerateOrder(result.resolved.generate(), drawing.words), environment,
               phases, pictures);
  result.outputs =
      KeepOutputs(WritePictures(pictures, environment), /*extras=*/{}, environment, phases);
  result.metrics = phases.Measurements();
  result.metrics["worker_peak_memory_bytes"] = ReadResidentMemory().peak_bytes;
  return result;
}

}  // namespace likeness
