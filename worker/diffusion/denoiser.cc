#include "worker/diffusion/denoiser.h"

#include <cmath>
#include <string>

#include "common/number_text.h"
#include "worker/base/error.h"

namespace likeness {
namespace {

Prediction Split(const torch::Tensor& output, const torch::Tensor& x, double a,
                 PredictionType type) {
  const double signal = std::sqrt(a);
  const double noise = std::sqrt(1 - a);
  switch (type) {
    case PredictionType::kEpsilon:
      return {output, output, (x - noise * output) / signal};
    case PredictionType::kSample:
      return {output, (x - signal * output) / noise, output};
    case PredictionType::kV:
      break;
  }
  return {output, signal * output + noise * x, signal * x - noise * output};
}

// Each picture by itself: cut at its own quantile, between 1 and max_value, and brought back to 1.
torch::Tensor Thresholded(const torch::Tensor& x0_BCHW, const Thresholding& thresholding) {
  const auto flat = x0_BCHW.to(torch::kFloat32).flatten(1);
  const auto limit = torch::quantile(flat.abs(), thresholding.ratio, /*dim=*/1, /*keepdim=*/true)
                         .clamp(1, thresholding.max_value);
  return (flat.clamp(-limit, limit) / limit).view_as(x0_BCHW).to(x0_BCHW.dtype());
}

torch::Tensor SpreadOf(const torch::Tensor& x_BCHW) {
  return x_BCHW.std(std::vector<int64_t>{1, 2, 3}, /*unbiased=*/true, /*keepdim=*/true);
}

}  // namespace

Denoiser::Denoiser(NoisePredictor model, PredictionType type, Guidance guidance,
                   SampleLimits limits, std::function<void(const torch::Tensor& x0_BCHW)> on_clean)
    : model_(std::move(model)),
      type_(type),
      guidance_(guidance),
      limits_(limits),
      on_clean_(std::move(on_clean)) {
  if (!std::isfinite(guidance.scale)) {
    throw Error(ErrorKind::kInvalidArgument,
                "guidance is " + NumberText(guidance.scale) + "; allowed: any finite number");
  }
  if (!(guidance.rescale >= 0 && guidance.rescale <= 1)) {
    throw Error(ErrorKind::kInvalidArgument,
                "guidance_rescale is " + NumberText(guidance.rescale) + "; allowed: 0 to 1");
  }
}

Prediction Denoiser::operator()(const torch::Tensor& x_BCHW, const Level& level) const {
  Prediction prediction = Read(Guided(x_BCHW, level.t), x_BCHW, level);
  if (on_clean_) on_clean_(prediction.x0_BCHW);
  return prediction;
}

Prediction Denoiser::Read(const torch::Tensor& output_BCHW, const torch::Tensor& x_BCHW,
                          const Level& level) const {
  auto prediction = Split(output_BCHW, x_BCHW, level.a, type_);
  if (limits_.thresholding) {
    prediction.x0_BCHW = Thresholded(prediction.x0_BCHW, *limits_.thresholding);
  } else if (const auto range = limits_.clip_range) {
    prediction.x0_BCHW = prediction.x0_BCHW.clamp(-*range, *range);
  }
  return prediction;
}

torch::Tensor Denoiser::Guided(const torch::Tensor& x_BCHW, double t) const {
  const bool guided = guidance_.scale > 1;
  auto x = guided ? torch::cat({x_BCHW, x_BCHW}) : x_BCHW;
  const auto dtype = t == std::trunc(t) ? torch::kInt64 : torch::kFloat32;
  auto t_N = torch::full({x.size(0)}, t, x.options().dtype(dtype));
  auto output = model_(x, t_N).to(x_BCHW.dtype());
  if (!guided) return output;
  auto halves = output.chunk(2);
  auto mixed = halves[0] + guidance_.scale * (halves[1] - halves[0]);
  if (guidance_.rescale == 0) return mixed;
  auto rescaled = mixed * (SpreadOf(halves[1]) / SpreadOf(mixed));
  return guidance_.rescale * rescaled + (1 - guidance_.rescale) * mixed;
}

}  // namespace likeness
