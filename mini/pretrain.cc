#include "mini/pretrain.h"

#include "mini/pretrain_evaluators.h"
#include "mini/pretrain_export.h"
#include "mini/pretrain_lpips.h"
#include "mini/pretrain_measures.h"
#include "mini/pretrain_tokenizer.h"
#include "mini/pretrain_unet.h"
#include "mini/pretrain_vae.h"
#include "worker/base/error.h"

namespace likeness::mini {
namespace {

constexpr struct {
  PretrainStage stage;
  const char* name;
  void (*run)(const PretrainOptions&);
} kStages[] = {
    {PretrainStage::kTokenizer, "tokenizer", PretrainTokenizer},
    {PretrainStage::kVae, "vae", PretrainVae},
    {PretrainStage::kDecoder, "decoder", PretrainDecoder},
    {PretrainStage::kUnet, "unet", PretrainUnet},
    {PretrainStage::kMeasures, "measures", PretrainMeasures},
    {PretrainStage::kExport, "export", ExportPretrained},
    {PretrainStage::kEvaluators, "evaluators", PretrainEvaluators},
    {PretrainStage::kLpips, "lpips", PretrainLpips},
};

void Require(bool holds, const char* message) {
  if (!holds) throw Error(ErrorKind::kInvalidArgument, message);
}

void Validate(const PretrainOptions& options) {
  Require(!options.directory.empty(), "pretraining needs a directory for its output");
  Require(options.vae_minutes > 0 && options.decoder_minutes > 0 && options.unet_minutes > 0 &&
              options.evaluator_minutes > 0,
          "minutes must be above 0");
  Require(options.vae_steps >= 0 && options.decoder_steps >= 0 && options.unet_steps >= 0 &&
              options.evaluator_steps >= 0,
          "steps must be 0 (by the clock) or more");
  Require(options.pictures >= 1, "at least one picture is needed");
  Require(options.vae_batch >= 1 && options.unet_batch >= 1, "a batch holds at least one picture");
  Require(options.measures_steps >= 1 && options.measures_batch >= 2,
          "the measures need at least one step, and 2 pictures in a batch");
}

}  // namespace

PretrainStage ParsePretrainStage(const std::string& name) {
  if (name == "all") return PretrainStage::kAll;
  for (const auto& entry : kStages) {
    if (name == entry.name) return entry.stage;
  }
  throw Error(ErrorKind::kInvalidArgument,
              "no such stage: \"" + name +
                  "\"; allowed are tokenizer, vae, decoder, unet, measures, export, "
                  "evaluators, lpips, all");
}

void PretrainMini(const PretrainOptions& options) {
  Validate(options);
  std::filesystem::create_directories(options.directory);
  for (const auto& entry : kStages) {
    if (options.stage == entry.stage || options.stage == PretrainStage::kAll) entry.run(options);
  }
}

}  // namespace likeness::mini
