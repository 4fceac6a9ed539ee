#include "worker/generation/starting_picture.h"

#include <string>
#include <utility>

#include "common/number_text.h"
#include "common/steps_at_strength.h"
#include "worker/base/error.h"
#include "worker/generation/tensor_image.h"

namespace likeness {
namespace {

std::string SizeText(int64_t width, int64_t height) {
  return std::to_string(width) + " x " + std::to_string(height) + " px";
}

void CheckSize(const char* what, const Image& image, Geometry geometry) {
  if (image.width == geometry.width && image.height == geometry.height) return;
  throw Error(ErrorKind::kInvalidArgument,
              std::string(what) + " has " + SizeText(image.width, image.height) + "; allowed: " +
                  SizeText(geometry.width, geometry.height) + ", as the pictures to draw");
}

// 1 where the grey picture is white rather than black: [1,1,H,W].
torch::Tensor MaskOf(const Image& mask) {
  const auto bytes_HWC = torch::from_blob(const_cast<uint8_t*>(mask.rgb.data()),
                                          {mask.height, mask.width, 3}, torch::kUInt8);
  return (bytes_HWC.select(2, 0) >= 128).to(torch::kFloat32).unsqueeze(0).unsqueeze(0);
}

}  // namespace

int StepsLeftOut(int steps, double strength) {
  if (!(strength > 0 && strength <= 1)) {
    throw Error(ErrorKind::kInvalidArgument,
                "strength is " + NumberText(strength) + "; allowed: above 0, at most 1");
  }
  const int done = StepsAtStrength(steps, strength);
  if (done < 1) {
    throw Error(ErrorKind::kInvalidArgument,
                "strength is " + NumberText(strength) + ", which leaves none of " +
                    std::to_string(steps) + " steps; allowed: " + NumberText(LeastStrength(steps)) +
                    " or more");
  }
  return steps - done;
}

StartingPicture::StartingPicture(Family& model, const ImageToImage& from, Geometry geometry)
    : model_(model), strength_(from.strength) {
  CheckSize("the image to start from", from.image, geometry);
  image_1CHW_ = ImageToTensor(from.image).unsqueeze(0);
  if (from.mask) {
    CheckSize("the mask", *from.mask, geometry);
    mask_11HW_ = MaskOf(*from.mask);
  } else if (model.fills_masks()) {
    mask_11HW_ = torch::ones({1, 1, geometry.height, geometry.width});
  }
}

torch::Tensor StartingPicture::Latents(NoiseSource& noise) {
  if (!moments_) moments_ = model_.ToLatents(image_1CHW_);
  const auto noise_NChw = noise.Draw().to(moments_->mean_BChw.dtype());
  return (moments_->Sample(noise_NChw) * model_.latent_scale()).to(torch::kFloat32);
}

BatchStart StartingPicture::Begin(const Sampler& sampler, int steps, NoiseSource& noise) {
  const bool masked = mask_11HW_.defined();
  const bool keeps = masked && !model_.fills_masks();
  // Nothing of the picture is left inside of a mask.
  const bool from_noise = masked && strength_ == 1;
  BatchStart begin;
  begin.start.first = static_cast<size_t>(StepsLeftOut(steps, strength_));
  const auto latents_NChw = from_noise && !keeps ? torch::Tensor() : Latents(noise);
  const auto noise_NChw = noise.Draw();
  if (from_noise) {
    begin.start.x_BCHW = sampler.Scaled(noise_NChw, steps);
  } else {
    const Level level = sampler.StartLevel(steps, begin.start.first);
    begin.start.x_BCHW = level.signal() * latents_NChw + level.noise() * noise_NChw;
  }
  if (!masked) return begin;
  const auto draw = [&] { return noise.Draw(); };
  if (keeps) {
    draw();  // the pipeline's too, for what lies outside, though its network is not told
    begin.start.keep = KeepOutside(latents_NChw, noise_NChw);
  } else {
    begin.canvas_NChw = model_.Canvas(image_1CHW_, mask_11HW_, draw);
  }
  return begin;
}

Keep StartingPicture::KeepOutside(torch::Tensor latents_NChw, torch::Tensor noise_NChw) const {
  const auto mask_11hw =
      torch::nn::functional::interpolate(
          mask_11HW_, torch::nn::functional::InterpolateFuncOptions()
                          .size(std::vector<int64_t>{latents_NChw.size(2), latents_NChw.size(3)})
                          .mode(torch::kNearest))
          .to(latents_NChw.device());
  return [latents_NChw = std::move(latents_NChw), noise_NChw = std::move(noise_NChw), mask_11hw](
             const torch::Tensor& x_NChw, const Level& level) {
    const auto given_NChw = level.signal() * latents_NChw + level.noise() * noise_NChw;
    return (1 - mask_11hw) * given_NChw + mask_11hw * x_NChw;
  };
}

}  // namespace likeness
