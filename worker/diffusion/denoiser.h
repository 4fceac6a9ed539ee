// From what a model predicts to what a sampler needs, with classifier-free guidance (Ho and
// Salimans, 2207.12598).
//
// Shapes: B batch, C channels, H W latent height and width, T tokens, D width of the text encoder.
#pragma once

#include <torch/torch.h>

#include <functional>

#include "worker/diffusion/noise_schedule.h"
#include "worker/diffusion/trajectory.h"

namespace likeness {

// One prediction at (x, t), as noise and as clean latents; x = sqrt(a_t) x0 + sqrt(1 - a_t) eps
// holds.
struct Prediction {
  torch::Tensor eps_BCHW;
  torch::Tensor x0_BCHW;
};

// A UNet's forward: latents [N,C,H,W], timesteps [N] int64, context [N,T,D] -> prediction
// [N,C,H,W].
using NoisePredictor = std::function<torch::Tensor(
    const torch::Tensor& latents, const torch::Tensor& timesteps, const torch::Tensor& context)>;

// The output of a model that was asked about x at level a (trajectory.h), as a Prediction. With
// kEpsilon a is above 0: from noise alone no picture follows.
Prediction ToPrediction(const torch::Tensor& model_output_BCHW, const torch::Tensor& x_BCHW,
                        double a, PredictionType type);

// Immutable.
class Denoiser {
 public:
  // guidance 1 or less runs the condition alone; above 1 both halves go through the model in one
  // forward, the unconditional half first. unconditional_BTD may be undefined when guidance <= 1.
  // kInvalidArgument if guidance is not finite. Latents keep the dtype they come in; the model sees
  // the context's dtype.
  Denoiser(NoisePredictor model, PredictionType type, torch::Tensor conditional_BTD,
           torch::Tensor unconditional_BTD, double guidance);

  // What is predicted at the beginning of the span.
  Prediction operator()(const torch::Tensor& x_BCHW, Span span) const;

 private:
  torch::Tensor Guided(const torch::Tensor& x_BCHW, int64_t t) const;

  NoisePredictor model_;
  PredictionType type_;
  torch::Tensor context_;  // [B,T,D], or [2B,T,D] when guided
  double guidance_;
};

}  // namespace likeness
