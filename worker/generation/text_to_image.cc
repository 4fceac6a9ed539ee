#include "worker/generation/text_to_image.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "worker/base/error.h"
#include "worker/checkpoints/pipeline.h"
#include "worker/diffusion/denoiser.h"
#include "worker/diffusion/sampler.h"
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
  if (!std::isfinite(request.guidance)) {
    Refuse("guidance", std::to_string(request.guidance), "any finite number");
  }
}

// float32 [count,C,H,W]: picture i's noise is drawn by a generator of its own.
torch::Tensor InitialNoise(uint32_t first_seed, int count, at::IntArrayRef shape_1CHW) {
  std::vector<torch::Tensor> noises;
  for (int i = 0; i < count; ++i) {
    auto generator =
        at::make_generator<at::CPUGeneratorImpl>(first_seed + static_cast<uint32_t>(i));
    noises.push_back(torch::randn(shape_1CHW, generator, torch::kFloat32));
  }
  return torch::cat(noises);
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
  const Sampler sampler = ParseSampler(request.sampler, pipeline.schedule);
  const int steps_per_batch = static_cast<int>(Spans(sampler, request.steps).size());
  const int batches = (request.images + request.batch_size - 1) / request.batch_size;
  const std::vector<int64_t> noise_shape = {1, pipeline.unet->options().in_channels,
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
    const Denoiser denoiser(unet, pipeline.schedule.options().prediction_type,
                            conditional_1TD.expand({count, -1, -1}),
                            unconditional_1TD.expand({count, -1, -1}), request.guidance);
    auto noise_BCHW = InitialNoise(request.seed + static_cast<uint32_t>(done), count, noise_shape);
    auto latents_BCHW =
        Sample(sampler, denoiser, noise_BCHW.to(pipeline.device), request.steps, after_step);
    for (const auto& part_BCHW : latents_BCHW.split(DecodedTogether(latents_BCHW, pipeline))) {
      if (progress && !progress(steps_done, steps_per_batch * batches)) ThrowStopped();
      for (auto& image : Decode(pipeline, part_BCHW)) images.push_back(std::move(image));
    }
  }
  return images;
}

}  // namespace likeness
