#include "worker/training/random_masks.h"

namespace likeness {
namespace {

// floor(share * (most + 1)): 0 to most, each as likely, for a share in [0, 1).
torch::Tensor UpTo(const torch::Tensor& most, const torch::Tensor& share) {
  return (share * (most + 1)).floor();
}

// Distances of places along an axis to a middle: [count, extent].
torch::Tensor Distances(const torch::Tensor& middle_N, int64_t extent) {
  const auto places = torch::arange(extent, middle_N.options());
  return (places.unsqueeze(0) - middle_N.unsqueeze(1)).abs();
}

}  // namespace

torch::Tensor RandomMasks(int64_t count, int64_t height, int64_t width, at::Generator& generator) {
  // Doubles: a float32 times a side of pictures may round up to the next whole number.
  const auto shares = torch::rand({count, 5}, generator, torch::kFloat32).to(torch::kFloat64);
  const auto share = [&](int64_t i) { return shares.select(1, i); };
  const auto limit = [&](int64_t extent) { return torch::full({count}, extent, torch::kFloat64); };
  const auto half_w = (UpTo(limit(width), share(0)) / 2).floor();
  const auto half_h = (UpTo(limit(height), share(1)) / 2).floor();
  const auto x = Distances(half_w + UpTo(limit(width) - 2 * half_w, share(2)), width);
  const auto y = Distances(half_h + UpTo(limit(height) - 2 * half_h, share(3)), height);
  const auto across = x.unsqueeze(1), down = y.unsqueeze(2);  // N1W, NH1
  const auto reach_w = half_w.view({-1, 1, 1}), reach_h = half_h.view({-1, 1, 1});
  const auto rectangle = (across <= reach_w).logical_and(down <= reach_h);
  const auto ellipse =
      (across / (reach_w + 0.5)).square() + (down / (reach_h + 0.5)).square() <= 1.0;
  const auto mask = torch::where((share(4) < 0.5).view({-1, 1, 1}), rectangle, ellipse);
  return mask.to(torch::kFloat32).unsqueeze(1);
}

torch::Tensor MaskedCanvas(Family& model, const Batch& batch, at::Generator& generator) {
  const auto& pixels_BCHW = batch.pixels_BCHW;
  if (!pixels_BCHW.defined()) return {};
  const auto images_BCHW = pixels_BCHW.to(torch::kFloat32) / 127.5 - 1;
  const auto mask_B1HW =
      RandomMasks(images_BCHW.size(0), images_BCHW.size(2), images_BCHW.size(3), generator);
  return model.Canvas(images_BCHW, mask_B1HW, [&] {
    return torch::randn(batch.moments.mean_BChw.sizes(), generator, torch::kFloat32);
  });
}

}  // namespace likeness
