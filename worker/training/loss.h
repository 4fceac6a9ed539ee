// Losses of diffusion training, per sample first, reduced last.
// B batch, C channels, H W latent height and width.
#pragma once

#include <torch/torch.h>

#include <optional>

#include "worker/diffusion/noise_schedule.h"

namespace likeness {

struct LossOptions {
  double prior_weight = 1;  // lambda of DreamBooth's eq. 2; 0: the batch has no prior half
  std::optional<double> snr_gamma =
      {};                 // min-SNR weighting, Hang et al. 2303.09556; 5 is usual; empty: all 1
  bool debiased = false;  // weights of Yu et al. 2310.08442 instead
};

// Mean squared error of each sample, float32 [B]. Errors count as much as weights_B1HW says in
// their places; undefined: all alike. The mean is one over all places, whatever they count.
torch::Tensor SquaredError(const torch::Tensor& prediction_BCHW, const torch::Tensor& target_BCHW,
                           const torch::Tensor& weights_B1HW = {});

// Min-SNR-gamma weights w_t [B] for what the model predicts: min(snr, gamma) over snr (epsilon),
// over snr + 1 (v), over 1 (sample), so that every parametrization weighs the denoised picture
// alike.
torch::Tensor MinSnrWeight(const torch::Tensor& snr_B, double gamma, PredictionType prediction);

// Debiased weights w_t [B]: 1 / sqrt(snr) where noise is predicted (2310.08442), for v and sample
// those that weigh the denoised picture alike: sqrt(snr) / (snr + 1), sqrt(snr). 1 for noise where
// there is no signal.
torch::Tensor DebiasedWeight(const torch::Tensor& snr_B, PredictionType prediction);

// DreamBooth, 2208.12242 eq. 2: E[ w_t |eps_hat(x_t, c) - eps|^2 + lambda w_t' |eps_hat(x_t', c_pr)
// - eps'|^2 ]. The batch holds the subject's half first, then the prior's. Weights are per sample,
// taken before the halves part. snr_B: signal to noise at each sample's timestep. weights_B1HW: as
// SquaredError's. A scalar, float32.
torch::Tensor DreamBoothLoss(const torch::Tensor& prediction_BCHW, const torch::Tensor& target_BCHW,
                             const torch::Tensor& snr_B, PredictionType prediction,
                             const LossOptions& options, const torch::Tensor& weights_B1HW = {});

}  // namespace likeness
