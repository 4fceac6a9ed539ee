#include "worker/jobs/generate.h"

#include "common/sampler_names.h"
#include "worker/jobs/drawing_model.h"
#include "worker/jobs/engine_options.h"
#include "worker/jobs/keep_outputs.h"
#include "worker/jobs/pictures.h"
#include "worker/jobs/preflight.h"
#include "worker/jobs/resolve.h"
#include "worker/jobs/starting_image.h"
#include "worker/support/resident_memory.h"

namespace likeness {

std::vector<std::string> SupportedSamplers() {
  std::vector<std::string> names;
  for (const SamplerName& sampler : SamplerNames()) names.emplace_back(sampler.name);
  return names;
}

JobResult Generate(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop) {
  Phases phases(environment, {Phase::kPreparing, Phase::kSamples, Phase::kUploading});
  const DrawingModel drawing = DrawingModelOf(lease, environment, phases, workshop);
  JobResult result;
  result.resolved = ResolveGenerate(lease.job().generate(), drawing.facts);
  environment.Resolved(result.resolved);

  CheckGenerate(result.resolved.generate(), drawing.words, drawing.model, environment);

  std::vector<Picture> pictures;
  auto order = GenerateOrder(result.resolved.generate(), drawing.words);
  order.from = FetchStartingImage(result.resolved.generate(), environment);
  PictureMeter meter(order.size());
  DrawPictures(drawing.model, order, environment, phases, meter, pictures);
  result.outputs =
      KeepOutputs(WritePictures(pictures, environment), /*extras=*/{}, environment, phases);
  result.metrics = phases.Measurements();
  result.metrics["worker_peak_memory_bytes"] = ReadResidentMemory().peak_bytes;
  result.metrics["drawing_precision_bits"] = DrawingPrecisionBits(drawing.model);
  return result;
}

}  // namespace likeness
