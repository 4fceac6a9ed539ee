#include "worker/training/loss.h"

namespace likeness {

torch::Tensor SquaredError(const torch::Tensor& prediction_BCHW, const torch::Tensor& target_BCHW,
                           const torch::Tensor& weights_B1HW) {
  auto error_BCHW =
      (prediction_BCHW.to(torch::kFloat32) - target_BCHW.to(torch::kFloat32)).square();
  if (weights_B1HW.defined()) error_BCHW = error_BCHW * weights_B1HW;
  return error_BCHW.mean({1, 2, 3});
}

torch::Tensor MinSnrWeight(const torch::Tensor& snr_B, double gamma, PredictionType prediction) {
  const torch::Tensor least_B = snr_B.clamp_max(gamma);
  switch (prediction) {
    case PredictionType::kEpsilon:
      return (gamma / snr_B).clamp_max(1);  // min(snr, gamma) / snr, and 1 without any signal
    case PredictionType::kV:
      return least_B / (snr_B + 1);
    case PredictionType::kSample:
      return least_B;
  }
  return least_B;
}

torch::Tensor DebiasedWeight(const torch::Tensor& snr_B, PredictionType prediction) {
  switch (prediction) {
    case PredictionType::kEpsilon:
      return torch::where(snr_B > 0, snr_B.rsqrt(), torch::ones_like(snr_B));
    case PredictionType::kV:
      return snr_B.sqrt() / (snr_B + 1);
    case PredictionType::kSample:
      return snr_B.sqrt();
  }
  return snr_B.sqrt();
}

torch::Tensor DreamBoothLoss(const torch::Tensor& prediction_BCHW, const torch::Tensor& target_BCHW,
                             const torch::Tensor& snr_B, PredictionType prediction,
                             const LossOptions& options, const torch::Tensor& weights_B1HW) {
  torch::Tensor error_B = SquaredError(prediction_BCHW, target_BCHW, weights_B1HW);
  if (options.snr_gamma) error_B = error_B * MinSnrWeight(snr_B, *options.snr_gamma, prediction);
  if (options.debiased) error_B = error_B * DebiasedWeight(snr_B, prediction);
  if (options.prior_weight == 0) return error_B.mean();
  const auto halves = error_B.chunk(2);
  return halves[0].mean() + options.prior_weight * halves[1].mean();
}

}  // namespace likeness
