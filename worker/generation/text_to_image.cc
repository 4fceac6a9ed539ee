#include "worker/generation/text_to_image.h"

#include <torch/torch.h>

#include <algorithm>

#include "worker/base/error.h"
#include "worker/diffusion/denoiser.h"
#include "worker/diffusion/noise_source.h"
#include "worker/diffusion/sampler_table.h"
#include "worker/families/family.h"
#include "worker/generation/drawing_precision.h"
#include "worker/generation/pipeline_sampler.h"
#include "worker/generation/starting_picture.h"
#include "worker/generation/tensor_image.h"

namespace likeness {
namespace {

constexpr int64_t kLongestSide = 4096;

[[noreturn]] void Refuse(const std::string& field, const std::string& value,
                         const std::string& allowed) {
  throw Error(ErrorKind::kInvalidArgument, field + " is " + value + "; allowed: " + allowed);
}

// A side of the latents from a side in pixels, where 0 stands for the model's own.
int64_t LatentSide(const std::string& field, int64_t pixels, const Family& model) {
  const int64_t cell = model.cell();
  if (pixels == 0) return model.latent_size();
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
int64_t DecodedTogether(const torch::Tensor& latents_BCHW, const Family& model) {
  constexpr int64_t kPixels = 256 * 256;
  const int64_t cell = model.cell();
  const int64_t pixels = latents_BCHW.size(2) * cell * latents_BCHW.size(3) * cell;
  return std::max<int64_t>(1, kPixels / pixels);
}

std::vector<Image> Decode(Family& model, const torch::Tensor& latents_BCHW) {
  auto images_BCHW = model.ToPixels(latents_BCHW);
  if (!images_BCHW.isfinite().all().item<bool>()) {
    throw Error(ErrorKind::kFailedPrecondition,
                "the model draws pictures that are not finite: its weights have diverged or do not "
                "fit the compute type");
  }
  return TensorToImages(images_BCHW);
}

// What the model is told of the prompts; without guidance, of the first alone.
struct ToldPrompts {
  Conditioning prompt, negative;
};

// `told` with as many rows as `other` has: empty prompts behind it.
void FillUp(Conditioning& told, const Conditioning& other, const Prompt& prompt, Geometry geometry,
            const TextOptions& options, Family& model) {
  if (told.context_NSD.size(1) >= other.context_NSD.size(1)) return;
  const auto empty = model.Encode({prompt ? Prompt("") : std::nullopt}, geometry, options);
  while (told.context_NSD.size(1) < other.context_NSD.size(1)) {
    told.context_NSD = torch::cat({told.context_NSD, empty.context_NSD}, 1);
  }
}

ToldPrompts Encode(Family& model, const TextToImageRequest& request, Geometry geometry) {
  const TextOptions options{.clip_skip = request.clip_skip,
                            .weights = request.prompt_weights,
                            .long_prompts = request.long_prompts};
  ToldPrompts told{.prompt = model.Encode({request.prompt}, geometry, options), .negative = {}};
  if (request.guidance <= 1) return told;
  TextOptions of_negative = options;
  of_negative.clip_skip = 0;  // so have the reference's pipelines
  told.negative = model.Encode({request.negative_prompt}, geometry, of_negative);
  FillUp(told.prompt, told.negative, request.prompt, geometry, options, model);
  FillUp(told.negative, told.prompt, request.negative_prompt, geometry, of_negative, model);
  return told;
}

// `prompts` for `count` pictures: twice as many samples where there is guidance, its half first.
Conditioning ForPictures(const ToldPrompts& prompts, int64_t count,
                         const torch::Tensor& canvas_NChw) {
  const auto told_of = [&](const Conditioning& prompt) {
    auto told = prompt.Expand(count);
    told.canvas_NChw = canvas_NChw;
    return told;
  };
  if (!prompts.negative.context_NSD.defined()) return told_of(prompts.prompt);
  return Concatenate(told_of(prompts.negative), told_of(prompts.prompt));
}

BatchStart FromNoise(Family& model, const Sampler& sampler, int steps, int64_t count,
                     Geometry geometry, NoiseSource& noise) {
  const auto start_BCHW = sampler.Scaled(noise.Draw(), steps);
  return {.start = {.x_BCHW = start_BCHW},
          .canvas_NChw = model.BlankCanvas(count, geometry, [&] { return noise.Draw(); })};
}

}  // namespace

std::vector<Image> GenerateImages(Family& model, const TextToImageRequest& request,
                                  const GenerationProgress& progress,
                                  const GenerationPreviews& previews, StartingPicture* start) {
  torch::NoGradGuard no_grad;
  CheckRequest(request);
  const DrawingPrecision precision(model);
  const Sampler sampler = SamplerOf(model, request.sampler, request.eta);
  const int left_out = request.from ? StepsLeftOut(request.steps, request.from->strength) : 0;
  const int steps_per_batch =
      static_cast<int>(sampler.GridOf(request.steps).levels.size()) - left_out;
  const int batches = (request.images + request.batch_size - 1) / request.batch_size;
  const std::vector<int64_t> noise_shape = {model.latent_channels(),
                                            LatentSide("height", request.height, model),
                                            LatentSide("width", request.width, model)};

  // Encode the prompts and the picture to begin with, once for all pictures.
  const Geometry geometry{noise_shape[1] * model.cell(), noise_shape[2] * model.cell()};
  const auto prompts = Encode(model, request, geometry);
  std::optional<StartingPicture> own;
  if (request.from && start == nullptr) start = &own.emplace(model, *request.from, geometry);
  int steps_done = 0;
  torch::Tensor clean_BChw;  // as it was expected last
  const auto after_step = [&] {
    const int step = steps_done++ % steps_per_batch + 1;
    const bool shown = previews.every_steps > 0 && step % previews.every_steps == 0;
    if (shown && step < steps_per_batch) previews.show(step, clean_BChw);
    if (progress && !progress(steps_done, steps_per_batch * batches)) ThrowStopped();
  };

  // Denoise and decode batch by batch. Latents stay float32; the model computes in its own type.
  std::vector<Image> images;
  while (static_cast<int>(images.size()) < request.images) {
    const int done = static_cast<int>(images.size());
    const int count = std::min(request.batch_size, request.images - done);
    auto noise =
        NoiseOf(request.seed + static_cast<uint32_t>(done), count, noise_shape, model.device());
    const auto begin = start ? start->Begin(sampler, request.steps, noise)
                             : FromNoise(model, sampler, request.steps, count, geometry, noise);
    const auto told = ForPictures(prompts, count, begin.canvas_NChw);
    const NoisePredictor network = [&](const auto& latents, const auto& timesteps) {
      return model.Predict(latents, timesteps, told);
    };
    const Denoiser denoiser(network, sampler.schedule().options().prediction_type,
                            {.scale = request.guidance, .rescale = request.guidance_rescale},
                            sampler.settings().limits,
                            [&](const torch::Tensor& x0_BCHW) { clean_BChw = x0_BCHW; });
    const auto latents_BCHW =
        sampler.SampleFrom(denoiser, begin.start, noise, request.steps, after_step);
    for (const auto& part_BCHW : latents_BCHW.split(DecodedTogether(latents_BCHW, model))) {
      if (progress && !progress(steps_done, steps_per_batch * batches)) ThrowStopped();
      for (auto& image : Decode(model, part_BCHW)) images.push_back(std::move(image));
    }
  }
  return images;
}

}  // namespace likeness
