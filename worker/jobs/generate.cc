#include "worker/jobs/generate.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "common/prompt_adapters.h"
#include "common/rpc_error.h"
#include "common/sampler_names.h"
#include "worker/base/error.h"
#include "worker/jobs/drawing_model.h"
#include "worker/jobs/engine_options.h"
#include "worker/jobs/keep_outputs.h"
#include "worker/jobs/pictures.h"
#include "worker/jobs/preflight.h"
#include "worker/jobs/resolve.h"
#include "worker/jobs/safety_check.h"
#include "worker/jobs/starting_image.h"
#include "worker/support/device.h"
#include "worker/support/guard.h"
#include "worker/support/resident_memory.h"

namespace likeness {

std::vector<std::string> SupportedSamplers() {
  std::vector<std::string> names;
  for (const SamplerName& sampler : SamplerNames()) names.emplace_back(sampler.name);
  return names;
}

namespace {

c10::ScalarType DtypeOf(v1::Precision asked, const WarmBase& warm) {
  if (asked == v1::PRECISION_UNSPECIFIED) return warm.drawing_dtype();
  if (asked != v1::PRECISION_BF16) return c10::kFloat;
  if (ComputesBfloat16(warm.device())) return c10::kBFloat16;
  throw StatusError(InvalidField("job.generate.precision",
                                 "is PRECISION_BF16; the worker's processor has no instructions "
                                 "for bfloat16, and only PRECISION_FP32 is allowed",
                                 "OUT_OF_RANGE"));
}

// While one lives, the model draws in another precision than the worker was started with.
class DrawnIn {
 public:
  DrawnIn(Family& model, c10::ScalarType dtype) : model_(model), own_(model.drawing_dtype()) {
    model_.set_drawing_dtype(dtype);
  }
  ~DrawnIn() { model_.set_drawing_dtype(own_); }
  DrawnIn(const DrawnIn&) = delete;
  DrawnIn& operator=(const DrawnIn&) = delete;

 private:
  Family& model_;
  c10::ScalarType own_;
};

// The spec with prompts as they are drawn, and with what each of them lays over the model.
struct PlainPrompts {
  v1::GenerateSpec spec;
  std::vector<std::vector<PromptAdapter>> adapters;
};

const PromptOverlay& OverlayOf(const DrawingModel& drawing, const std::string& id) {
  for (const PromptOverlay& overlay : drawing.overlays) {
    if (overlay.recorded.model.id == id) return overlay;
  }
  throw Error(ErrorKind::kFailedPrecondition, "the lease has no files of the adapter " + id);
}

PlainPrompts WithoutAdapters(const v1::GenerateSpec& spec, const DrawingModel& drawing) {
  PlainPrompts plain{.spec = spec, .adapters = {}};
  if (!spec.prompt_adapters()) return plain;
  for (std::string& prompt : *plain.spec.mutable_prompts()) {
    PromptWithAdapters parsed = ValueOrThrow(ParsePromptAdapters(prompt));
    const bool own_words = drawing.words.token.empty() && !parsed.adapters.empty();
    const PromptWords words =
        own_words ? OverlayOf(drawing, parsed.adapters.front().id).words : drawing.words;
    prompt = FillPrompt(parsed.text, words);
    plain.adapters.push_back(std::move(parsed.adapters));
  }
  return plain;
}

// What lies over the model while one prompt is drawn. Notes it in the pictures' settings.
ForPrompt LayingOver(const std::vector<std::vector<PromptAdapter>>& adapters,
                     DrawingModel& drawing) {
  const auto none = [](const auto& own) { return own.empty(); };
  if (std::all_of(adapters.begin(), adapters.end(), none)) return {};
  drawing.settings.prompt_adapters.resize(adapters.size());
  return [&adapters, &drawing](size_t prompt_number) {
    std::vector<std::unique_ptr<AppliedAdapter>> applied;
    for (const PromptAdapter& named : adapters.at(prompt_number)) {
      const PromptOverlay& overlay = OverlayOf(drawing, named.id);
      applied.push_back(FindMethod(overlay.recorded.method)
                            .apply(drawing.model, overlay.directory, named.strength));
      RecordedAdapter recorded = overlay.recorded;
      recorded.strength = named.strength;
      drawing.settings.prompt_adapters[prompt_number].push_back(std::move(recorded));
    }
    return std::make_shared<AppliedTogether>(std::move(applied));
  };
}

}  // namespace

JobResult Generate(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop) {
  const bool checked = lease.job().generate().safety_check();
  Phases phases(
      environment,
      checked ? std::vector{Phase::kPreparing, Phase::kSamples, Phase::kJudging, Phase::kUploading}
              : std::vector{Phase::kPreparing, Phase::kSamples, Phase::kUploading});
  std::optional<SafetyCheck> safety;
  if (checked) {
    safety.emplace(workshop.evaluators, workshop.safety_checkers, environment).Require();
  }
  DrawingModel drawing = DrawingModelOf(lease, environment, phases, workshop);
  JobResult result;
  result.resolved = ResolveGenerate(lease.job().generate(), drawing.facts);
  const auto dtype = DtypeOf(lease.job().generate().precision(), workshop.warm);
  const DrawnIn drawn_in(drawing.model, dtype);
  drawing.settings.precision_bits = DrawingPrecisionBits(drawing.model);
  result.resolved.mutable_generate()->set_precision(dtype == c10::kBFloat16 ? v1::PRECISION_BF16
                                                                            : v1::PRECISION_FP32);
  environment.Resolved(result.resolved);

  const PlainPrompts plain = WithoutAdapters(result.resolved.generate(), drawing);
  CheckGenerate(plain.spec, drawing.words, drawing.model, environment);

  std::vector<Picture> pictures;
  auto order = GenerateOrder(plain.spec, drawing.words);
  order.from = FetchStartingImage(plain.spec, environment);
  PictureMeter meter(order.size());
  DrawPictures(drawing.model, order, environment, phases, meter, pictures,
               LayingOver(plain.adapters, drawing));
  if (safety) safety->Withhold({&pictures}, Phase::kJudging, phases);
  drawing.settings.order = std::move(order);
  drawing.settings.start = result.resolved.generate().image_to_image();
  result.outputs = KeepOutputs(WritePictures(pictures, drawing.settings, environment),
                               /*extras=*/{}, environment, phases);
  result.metrics = phases.Measurements();
  result.metrics["worker_peak_memory_bytes"] = ReadResidentMemory().peak_bytes;
  result.metrics["drawing_precision_bits"] = DrawingPrecisionBits(drawing.model);
  return result;
}

}  // namespace likeness
