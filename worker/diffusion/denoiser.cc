#include "worker/diffusion/denoiser.h"

#include <cmath>

#include "worker/base/error.h"

namespace likeness {

Prediction ToPrediction(const torch::Tensor& output, const torch::Tensor& x, double a,
                        PredictionType type) {
  const double signal = std::sqrt(a);
  const double noise = std::sqrt(1 - a);
  switch (type) {
    case PredictionType::kEpsilon:
      return {output, (x - noise * output) / signal};
    case PredictionType::kSample:
      return {(x - signal * output) / noise, output};
    case PredictionType::kV:
      break;
  }
  return {signal * output + noise * x, signal * x - noise * output};
}

Denoiser::Denoiser(NoisePredictor model, PredictionType type, torch::Tensor conditional_BTD,
                   torch::Tensor unconditional_BTD, double guidance)
    : model_(std::move(model)), type_(type), guidance_(guidance) {
  if (!std::isfinite(guidance)) {
    throw Error(ErrorKind::kInvalidArgument,
                "guidance is " + std::to_string(guidance) + "; allowed: any finite number");
  }
  context_ = guidance > 1 ? torch::cat({unconditional_BTD, conditional_BTD}) : conditional_BTD;
}

Prediction Denoiser::operator()(const torch::Tensor& x_BCHW, Span span) const {
  return ToPrediction(Guided(x_BCHW, span.t), x_BCHW, span.a, type_);
}

torch::Tensor Denoiser::Guided(const torch::Tensor& x_BCHW, int64_t t) const {
  const bool guided = guidance_ > 1;
  auto x = guided ? torch::cat({x_BCHW, x_BCHW}) : x_BCHW;
  auto t_N = torch::full({x.size(0)}, t, x.options().dtype(torch::kInt64));
  auto output = model_(x.to(context_.dtype()), t_N, context_).to(x_BCHW.dtype());
  if (!guided) return output;
  auto halves = output.chunk(2);
  return halves[0] + guidance_ * (halves[1] - halves[0]);
}

}  // namespace likeness
