// From what a model predicts to what a sampler needs, with classifier-free guidance (Ho and
// Salimans, 2207.12598).
//
// Shapes: B batch, C channels, H W latent height and width, T tokens, D width of the text encoder.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <optional>

#include "worker/diffusion/level.h"
#include "worker/diffusion/noise_schedule.h"
#include "worker/diffusion/sampler_settings.h"

namespace likeness {

// One prediction at (x, level), as noise and as clean latents; x = sqrt(a) x0 + sqrt(1 - a) eps
// holds, unless x0 was brought within limits.
struct Prediction {
  torch::Tensor output_BCHW;  // what the model said: one of the others, or v
  torch::Tensor eps_BCHW;
  torch::Tensor x0_BCHW;
};

// A network's forward: latents [N,C,H,W], timesteps [N] int64 or float32 -> prediction [N,C,H,W].
// Where guided, N is twice the number of pictures: first without the condition, then with it.
using NoisePredictor =
    std::function<torch::Tensor(const torch::Tensor& latents, const torch::Tensor& timesteps)>;

struct Guidance {
  double scale = 7.5;  // 1 or less: the condition alone
  // From 0 to 1: how far a guided prediction is brought back to the spread that the conditional one
  // has, picture by picture (Lin et al., 2305.08891, section 3.4).
  double rescale = 0;
};

// Immutable.
class Denoiser {
 public:
  // Above a scale of 1 both halves go through the model in one forward, the unconditional half
  // first. kInvalidArgument if the scale is not finite or the rescale not within 0 to 1. Latents
  // keep the dtype they come in, whatever the model's. `on_clean` is called with each prediction's
  // x0.
  Denoiser(NoisePredictor model, PredictionType type, Guidance guidance, SampleLimits limits = {},
           std::function<void(const torch::Tensor& x0_BCHW)> on_clean = {});

  // With kEpsilon a is above 0: from noise alone no picture follows.
  Prediction operator()(const torch::Tensor& x_BCHW, const Level& level) const;

  // An output of the model at (x, level), or what a sampler has made of several.
  Prediction Read(const torch::Tensor& output_BCHW, const torch::Tensor& x_BCHW,
                  const Level& level) const;

 private:
  torch::Tensor Guided(const torch::Tensor& x_BCHW, double t) const;

  NoisePredictor model_;
  PredictionType type_;
  Guidance guidance_;
  SampleLimits limits_;
  std::function<void(const torch::Tensor& x0_BCHW)> on_clean_;
};

}  // namespace likeness
