#include "worker/generation/text_to_image.h"

#include <torch/torch.h>

#include <algorithm>

#include "worker/base/error.h"
#include "worker/checkpoints/pipeline.h"
#include "worker/diffusion/denoiser.h"
#include "worker/diffusion/noise_source.h"
#include "worker/diffusion/sampler_table.h"
#include "worker/generation/pipeline_sampler.h"
#include "worker/generation/prompt_encoding.h"
#include "worker/generation/tensor_image.h"

namespace likeness {
namespace {

constexpr int64_t kLongestSide = 4096;

[[noreturn]] void Refuse(const std::string& field, const std::string& value,
                         const std::string& allowed) {
  throw Error(ErrorKind::kInvalidArgument, field + " is " + value + "; allowed: " + allowed);
}

// A side of the latents from a side in pixels, where 0 stands for the model's own.
int64_t LatentSide(const std::string& field, int64_t pixels, const Pipeline& pipeline) {
  const int64_t cell = pipeline.vae->options().Downscale();
  if (pixels == 0) return pipeline.latent_size();
  if (pixels < 0 || pixels % cell != 0 || pixels > kLongestSide) {
    Refuse(field, std::to_string(pixels),
           "0 or a multiple of " + std::to_string(cell) + " up to " + std::to_string(kLongestSide));
  }
  return pixels / cell;
}

void CheckRequest(const TextToImageRequest& request) {
  if (request.images < 1) Refuse("images", std::to_string(request.images), "1 or more");
  if (request.batch_size < 1) Refuse("batch_size", std::to_string(request.batch_size), "1 or more");
}

// Picture i has a generator of its own.
PictureNoise NoiseOf(uint32_t first_seed, int count, const std::vector<int64_t>& shape_CHW,
                     torch::Device device) {
  std::vector<uint64_t> seeds;
  for (int i = 0; i < count; ++i) seeds.push_back(first_seed + static_cast<uint32_t>(i));
  return PictureNoise(std::move(seeds), shape_CHW, device);
}

[[noreturn]] void ThrowStopped() { throw Error(ErrorKind::kCancelled, "generation was stopped"); }

// How many pictures go through the decoder at a time: small ones together, for speed, large ones
// one by one, for memory and so that there is a moment to stop in between.
int64_t DecodedTogether(const torch::Tensor& latents_BCHW, const Pipeline& pipeline) {
  constexpr int64_t kPixels = 256 * 256;
  const int64_t cell = pipeline.vae->options().Downscale();
  const int64_t pixels = latents_BCHW.size(2) * cell * latents_BCHW.size(3) * cell;
  return std::max<int64_t>(1, kPixels / pixels);
}

std::vector<Image> Decode(Pipeline& pipeline, const torch::Tensor& latents_BCHW) {
  auto unscaled_BCHW = latents_BCHW / pipeline.vae->options().scaling_factor;
  auto images_BCHW = pipeline.vae->Decode(unscaled_BCHW.to(pipeline.dtype));
  if (!images_BCHW.isfinite().all().item<bool>()) {
    throw Error(ErrorKind::kFailedPrecondition,
                "the model draws pictures that are not finite: its weights have diverged or do not "
                "fit the compute type");
  }
  return TensorToImages(images_BCHW);
}

}  // namespace

std::vector<Image> GenerateImages(Pipeline& pipeline, const TextToImageRequest& request,
                                  const GenerationProgress& progress) {
  torch::NoGradGuard no_grad;
  CheckRequest(request);
  const Sampler sampler = SamplerOf(pipeline, request.sampler, request.eta);
  const int steps_per_batch = static_cast<int>(sampler.GridOf(request.steps).levels.size());
  const int batches = (request.images + request.batch_size - 1) / request.batch_size;
  const std::vector<int64_t> noise_shape = {pipeline.unet->options().in_channels,
                                            LatentSide("height", request.height, pipeline),
                                            LatentSide("width", request.width, pipeline)};

  // Encode the prompts, once for all pictures.
  auto conditional_1TD = EncodePrompts(pipeline, {request.prompt});
  auto unconditional_1TD = EncodePrompts(pipeline, {request.negative_prompt});
  const NoisePredictor unet = [&](const auto& latents, const auto& timesteps, const auto& context) {
    return pipeline.unet->Forward(latents, timesteps, context);
  };
  int steps_done = 0;
  const auto after_step = [&] {
    if (!progress || progress(++steps_done, steps_per_batch * batches)) return;
    ThrowStopped();
  };

  // Denoise and decode batch by batch. Latents stay float32; the model computes in its own type.
  std::vector<Image> images;
  while (static_cast<int>(images.size()) < request.images) {
    const int done = static_cast<int>(images.size());
    const int count = std::min(request.batch_size, request.images - done);
    const Denoiser denoiser(unet, sampler.schedule().options().prediction_type,
                            conditional_1TD.expand({count, -1, -1}),
                            unconditional_1TD.expand({count, -1, -1}),
                            {.scale = request.guidance, .rescale = request.guidance_rescale},
                            sampler.settings().thresholding);
    auto noise =
        NoiseOf(request.seed + static_cast<uint32_t>(done), count, noise_shape, pipeline.device);
    const auto latents_BCHW =
        sampler.Sample(denoiser, noise.Draw(), noise, request.steps, after_step);
    for (const auto& part_BCHW : latents_BCHW.split(DecodedTogether(latents_BCHW, pipeline))) {
      if (progress && !progress(steps_done, steps_per_batch * batches)) ThrowStopped();
      for (auto& image : Decode(pipeline, part_BCHW)) images.push_back(std::move(image));
    }
  }
  return images;
}

}  // namespace likeness
