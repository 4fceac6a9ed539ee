// Pictures that begin from another one: SDEdit (Meng et al., 2108.01073), and the filling of masks.
// Numbers as diffusers' StableDiffusionImg2ImgPipeline without a mask, and as its
// StableDiffusionInpaintPipeline with one, or with a network that fills masks.
#pragma once

#include <torch/torch.h>

#include <cstddef>
#include <optional>

#include "worker/diffusion/noise_source.h"
#include "worker/diffusion/sampler_table.h"
#include "worker/families/family.h"
#include "worker/generation/text_to_image.h"

namespace likeness {

// How many of `steps` are left out at the beginning. kInvalidArgument where none would be done, or
// the strength is not above 0 and at most 1.
int StepsLeftOut(int steps, double strength);

// What a batch of pictures begins with.
struct BatchStart {
  SamplerStart start;
  torch::Tensor canvas_NChw;  // Family::Canvas
};

// A picture in latents, ready to begin batches with. Keeps a reference to the model.
class StartingPicture {
 public:
  // kInvalidArgument where the picture or its mask has another size than `geometry`.
  StartingPicture(Family& model, const ImageToImage& from, Geometry geometry);

  // Each picture's noise is drawn in the pipelines' order: for the picture's latents, the noise
  // that is added to them, the latents outside of the mask.
  BatchStart Begin(const Sampler& sampler, int steps, NoiseSource& noise);

 private:
  torch::Tensor Latents(NoiseSource& noise);
  // `latents_NChw` outside of the mask, with `noise_NChw` as the level has it.
  Keep KeepOutside(torch::Tensor latents_NChw, torch::Tensor noise_NChw) const;

  Family& model_;
  double strength_;
  torch::Tensor image_1CHW_;
  torch::Tensor mask_11HW_;  // 1 where is to be drawn; undefined: all is, and nothing is kept
  std::optional<LatentMoments> moments_;
};

}  // namespace likeness
