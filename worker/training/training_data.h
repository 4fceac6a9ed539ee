// What a step learns from: pictures as the moments of their latents, encoded once, and prompts.
// N pictures, B samples of a batch, C H W latent channels, height, width.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "worker/base/image.h"
#include "worker/families/family.h"
#include "worker/models/vae.h"
#include "worker/training/host.h"

namespace likeness {

// Pictures with their prompts. Prompts are numbered, for several pictures share one.
struct PictureSet {
  LatentMoments moments;             // unscaled, float32, on the model's device, [N,C,H,W]
  std::vector<int64_t> prompt_of_N;  // index into a list of prompts
  torch::Tensor pixels_NCHW = {};    // uint8, on the CPU, where the model fills masks

  int64_t size() const { return static_cast<int64_t>(prompt_of_N.size()); }
};

inline constexpr size_t kEncodeBatch = 4;  // pictures that are encoded together

// Pictures `begin` to `end`, not included, together: float32 [end - begin,C,H,W].
LatentMoments EncodeBatch(Family& model, const std::vector<Image>& images, size_t begin,
                          size_t end);

// Encodes pictures in batches of kEncodeBatch, which it reports as part of `phase`. Throws
// Error(kCancelled) if the host stops it.
LatentMoments EncodePictures(Family& model, const std::vector<Image>& images, Phase phase,
                             Host& host);

// uint8 [N,3,H,W] for PictureSet, where the model fills masks; else undefined.
torch::Tensor PixelsFor(const Family& model, const std::vector<Image>& images);

// Batch number n (from 0) goes round the set: samples nB .. nB + B - 1, modulo N. No chance is
// involved, so every picture is seen as often as the others, and a resumed run goes on where it
// stopped.
struct Batch {
  LatentMoments moments;  // [B,C,H,W]
  std::vector<int64_t> prompt_of_B;
  torch::Tensor pixels_BCHW = {};  // as PictureSet's
};
Batch TakeBatch(const PictureSet& set, int64_t batch_number, int64_t batch_size);

// The subject's half first, then the prior's.
Batch Concatenate(const Batch& subject, const Batch& prior);

// The numbers a batch draws, in this order, from one CPU generator: posterior noise (float32
// randn), timesteps (randint), noise (float32 randn).
struct Draws {
  torch::Tensor posterior_BCHW;
  torch::Tensor timesteps_B;  // int64
  torch::Tensor noise_BCHW;
};
Draws DrawFor(const Batch& batch, int64_t num_train_timesteps, at::Generator generator);

}  // namespace likeness
