#include "worker/generation/latent_preview.h"

#include <ATen/CPUGeneratorImpl.h>

#include "worker/generation/tensor_image.h"

namespace likeness {
namespace {

namespace F = torch::nn::functional;

constexpr int64_t kSide = 16;     // of the pictures that are encoded, in latents
constexpr int64_t kPatches = 4;   // of one colour each along a side
constexpr int64_t kPictures = 4;  // with borders between the patches, and as many without

torch::Tensor Scaled(const torch::Tensor& images_N3HW, int64_t side, bool smooth) {
  auto options = F::InterpolateFuncOptions().size(std::vector<int64_t>{side, side});
  if (smooth)
    return F::interpolate(images_N3HW, options.mode(torch::kBilinear).align_corners(false));
  return F::interpolate(images_N3HW, options.mode(torch::kNearest));
}

// [1, K, M]: the latents' channels, and ones.
torch::Tensor Inputs(const torch::Tensor& latents_NChw) {
  const auto channels = latents_NChw.to(torch::kCPU, torch::kFloat64).transpose(0, 1).flatten(1);
  return torch::cat({channels, torch::ones({1, channels.size(1)}, torch::kFloat64)});
}

}  // namespace

LatentPreview::LatentPreview(Family& model) {
  torch::NoGradGuard no_grad;
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(/*seed=*/0);
  const auto colours =
      torch::rand({kPictures, 3, kPatches, kPatches}, generator, torch::kFloat32) * 2 - 1;
  const int64_t side = kSide * model.cell();
  const auto images_N3HW =
      torch::cat({Scaled(colours, side, /*smooth=*/false), Scaled(colours, side, /*smooth=*/true)});
  const auto latents_NChw = model.ToLatents(images_N3HW).mean_BChw * model.latent_scale();
  const auto inputs_KM = Inputs(latents_NChw);
  const auto wanted_3M =
      F::adaptive_avg_pool2d(images_N3HW, F::AdaptiveAvgPool2dFuncOptions(
                                              {latents_NChw.size(2), latents_NChw.size(3)}))
          .to(torch::kFloat64)
          .transpose(0, 1)
          .flatten(1);
  // Channels that are nearly the same in all pictures get small weights.
  const auto squares_KK = inputs_KM.mm(inputs_KM.t());
  const auto ridge_KK = torch::eye(inputs_KM.size(0), torch::kFloat64) * 1e-4 * inputs_KM.size(1);
  weights_3K_ = at::linalg_solve(squares_KK + ridge_KK, inputs_KM.mm(wanted_3M.t())).t();
}

std::vector<Image> LatentPreview::Draw(const torch::Tensor& latents_BChw) const {
  const auto pixels =
      weights_3K_.mm(Inputs(latents_BChw))
          .view({3, latents_BChw.size(0), latents_BChw.size(2), latents_BChw.size(3)})
          .transpose(0, 1);
  return TensorToImages(pixels);
}

}  // namespace likeness
