// A whole text-to-image model in memory, and the diffusers directory that it comes from.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <string>

#include "worker/diffusion/noise_schedule.h"
#include "worker/models/clip_text.h"
#include "worker/models/unet.h"
#include "worker/models/vae.h"
#include "worker/tokenizers/clip_tokenizer.h"

namespace likeness {

struct Pipeline {
  ClipTokenizer tokenizer;
  ClipTextModel text_encoder = nullptr;
  UNet2DCondition unet = nullptr;
  AutoencoderKl vae = nullptr;
  NoiseSchedule schedule;
  std::string scheduler_config = {};  // the file that `schedule` was read from; empty if none
  torch::Device device = torch::kCPU;
  torch::ScalarType dtype = torch::kFloat32;  // of all parameters
  std::string digest;                         // ModelDigest of the directory; empty if none

  // Sides in pixels and in latents of the square pictures it was trained on.
  int64_t latent_size() const { return unet->options().sample_size; }
  int64_t image_size() const { return latent_size() * vae->options().Downscale(); }
};

struct PipelineOptions {
  torch::Device device = torch::kCPU;
  torch::ScalarType dtype = torch::kFloat32;
};

// Reads model_index.json and the folders unet, vae, text_encoder, tokenizer, scheduler. Modules are
// in eval mode and their parameters require no gradient.
// The parts are held against each other: every token id has a row in the text encoder's table.
// Errors: kNotFound (no such directory), kFailedPrecondition (a part is missing, unsupported, only
// there as a pickle, or does not fit another), kDataLoss (a weight file is corrupt).
Pipeline LoadPipeline(const std::filesystem::path& dir, const PipelineOptions& options = {});

// Writes a directory that LoadPipeline and diffusers read, its weights in `dtype`, its scheduler's
// config as it was read. Existing files of the same names are replaced.
void SavePipeline(const std::filesystem::path& dir, const Pipeline& pipeline,
                  torch::ScalarType dtype);

// SHA-256, in hex, over the sorted (relative path, SHA-256 of the file) pairs of model_index.json
// and of all weights, configs and tokenizer files (.safetensors, .json, .txt) in the directory's
// folders. A file is read once by this process, until its size or time changes. Thread safe.
std::string ModelDigest(const std::filesystem::path& dir);

}  // namespace likeness
