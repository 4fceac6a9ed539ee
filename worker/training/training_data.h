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
#include "worker/training/draw_options.h"
#include "worker/training/host.h"

namespace likeness {

// Pictures with their prompts. Prompts are numbered, for several pictures share one.
struct PictureSet {
  LatentMoments moments;             // unscaled, float32, on the model's device, [N,C,H,W]
  std::vector<int64_t> prompt_of_N;  // index into a list of prompts
  torch::Tensor pixels_NCHW = {};    // uint8, on the CPU, where the model fills masks
  LatentMoments mirrored = {};       // of the pictures mirrored, where they are to be
  torch::Tensor weights_N1hw = {};  // of the loss in places (loss_weights.h), on the model's device
  std::vector<MicroConditioning> micro_conditioning_N = {};  // empty: they are whole pictures

  int64_t size() const { return static_cast<int64_t>(prompt_of_N.size()); }
};

inline constexpr size_t kEncodeBatch = 4;  // pictures that are encoded together

// Pictures `begin` to `end`, not included, together: float32 [end - begin,C,H,W].
LatentMoments EncodeBatch(Family& model, const std::vector<Image>& images, size_t begin,
                          size_t end);

// How far pictures are that are encoded in several calls.
struct EncodedSoFar {
  int64_t done = 0;
  int64_t total = 0;
};

// Encodes pictures in batches of kEncodeBatch, which it reports as part of `phase`: as part of all
// of `so_far`, if not null. Throws Error(kCancelled) if the host stops it.
LatentMoments EncodePictures(Family& model, const std::vector<Image>& images, Phase phase,
                             Host& host, EncodedSoFar* so_far = nullptr);

Image Mirrored(const Image& image);

// uint8 [N,3,H,W] for PictureSet, where the model fills masks; else undefined.
torch::Tensor PixelsFor(const Family& model, const std::vector<Image>& images);

struct Batch {
  LatentMoments moments;  // [B,C,H,W]
  std::vector<int64_t> prompt_of_B;
  torch::Tensor pixels_BCHW = {};  // as PictureSet's
  LatentMoments mirrored = {};     // likewise
  torch::Tensor weights_B1hw = {};
  std::vector<MicroConditioning> micro_conditioning_B = {};  // likewise
};
// The pictures of these numbers.
Batch TakeBatch(const PictureSet& set, const std::vector<int64_t>& picture_of_B);

// The pictures of all sets, one set after another. They are alike: of one size, with the same
// things defined, but for the weights of the loss, which are 1 where others have some.
PictureSet Joined(const std::vector<PictureSet>& sets);

// The subject's half first, then the prior's, which is mirrored as it is and counts whole.
Batch Concatenate(const Batch& subject, const Batch& prior);

// The weights of the loss with those of `count` samples more that count whole.
torch::Tensor WithOnes(const torch::Tensor& weights_B1hw, int64_t count);

// The numbers a batch draws, in this order, from one CPU generator: posterior noise (float32
// randn), timesteps (randint), noise (float32 randn); and where the options ask for them, what is
// added to the noise (randn [B,C,1,1]), what is added to that which the network sees (randn), which
// pictures are mirrored and whose prompts are left out (rand [B] each, below a half, below the
// share).
struct Draws {
  torch::Tensor posterior_BCHW;
  torch::Tensor timesteps_B;  // int64
  torch::Tensor noise_BCHW;
  torch::Tensor seen_noise_BCHW;  // that the network sees, and need not predict all of
  std::vector<bool> mirrored_B = {};
  std::vector<bool> dropped_B = {};
};
Draws DrawFor(const Batch& batch, int64_t num_train_timesteps, const DrawOptions& options,
              at::Generator generator);

// Mirrors what was drawn to be mirrored, masks included, of the batch's first `photos` samples, and
// replaces the prompts that were drawn to be left out by number `empty_prompt`.
void Alter(Batch& batch, const Draws& draws, int64_t photos, int64_t empty_prompt);

}  // namespace likeness
