// A whole text-to-image model in memory, and the diffusers directory that it comes from.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <string>

#include "worker/models/clip_text.h"
#include "worker/models/unet.h"
#include "worker/models/vae.h"
#include "worker/samplers/noise_schedule.h"
#include "worker/tokenizers/clip_tokenizer.h"

namespace likeness {

struct Pipeline {
  ClipTokenizer tokenizer;
  ClipTextModel text_encoder = nullptr;
  UNet2DCondition unet = nullptr;
  AutoencoderKl vae = nullptr;
  NoiseSchedule schedule;
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
// Errors: kNotFound (no such directory), kFailedPrecondition (a part is missing, unsupported, or
// only there as a pickle), kDataLoss (a weight file is corrupt).
Pipeline LoadPipeline(const std::filesystem::path& dir, const PipelineOptions& options = {});

// Writes a directory that LoadPipeline and diffusers read, its weights in `dtype`. Existing files
// of the same names are replaced.
void SavePipeline(const std::filesystem::path& dir, const Pipeline& pipeline,
                  torch::ScalarType dtype);

// SHA-256, in hex, over the sorted (relative path, SHA-256 of the file) pairs of the directory's
// weights, configs and tokenizer files: what the model computes with, and nothing else in there.
std::string ModelDigest(const std::filesystem::path& dir);

}  // namespace likeness
