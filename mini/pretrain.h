// Pretrains the miniature model on the picture world, from nothing to a diffusers directory, on the
// engine's own modules.
//
// Stages: `tokenizer` learns the vocabulary; `vae` the autoencoder; `decoder` its decoder alone,
// which leaves latents as they are; `unet` encodes the pictures once, then trains UNet and text
// tower; `measures` trains what pictures are judged by; `export` writes the model;
// `evaluators` trains its own DINO and CLIP, `lpips` its LPIPS. Each goes on from where it was
// stopped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace likeness::mini {

enum class PretrainStage {
  kTokenizer,
  kVae,
  kDecoder,
  kUnet,
  kMeasures,
  kExport,
  kEvaluators,
  kLpips,
  kAll
};

// "tokenizer", "vae", "decoder", "unet", "measures", "export", "evaluators", "lpips", "all";
// anything else is an Error (kInvalidArgument).
PretrainStage ParsePretrainStage(const std::string& name);

struct PretrainOptions {
  // Holds the stages' outputs, checkpoints, log.jsonl (one JSON object a line), sheets/*.png, and
  // model/ and eval/ in the end.
  std::filesystem::path directory;
  PretrainStage stage = PretrainStage::kAll;
  uint32_t seed = 0;

  // How long a stage trains, on the wall clock and over all resumptions; its learning rate falls
  // with the time spent. A number of steps other than 0 replaces the clock, and the run is then
  // reproducible.
  double vae_minutes = 45;
  double decoder_minutes = 20;
  double unet_minutes = 180;
  int64_t vae_steps = 0;
  int64_t decoder_steps = 0;
  int64_t unet_steps = 0;
  int64_t measures_steps = 1500;  // of each of the two networks

  // Of each of the evaluators, of LPIPS its trunk; and the finished model that they are trained
  // for, by default that of `directory`.
  double evaluator_minutes = 20;
  int64_t evaluator_steps = 0;
  std::filesystem::path model;

  int64_t pictures = 24576;  // drawn for training; validation draws 256 others
  int64_t vae_batch = 16;    // the decoder's too
  int64_t unet_batch = 16;
  int64_t measures_batch = 48;  // pictures; identities, two pictures each
  double checkpoint_minutes = 3;
  double evaluate_minutes = 5;  // validation loss and a sheet
};

// Errors: kInvalidArgument for options out of range; kFailedPrecondition if an earlier stage's
// output is missing, or a checkpoint belongs to other sizes.
void PretrainMini(const PretrainOptions& options);

}  // namespace likeness::mini
