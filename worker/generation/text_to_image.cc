#include "worker/generation/text_to_image.h"

#include <torch/torch.h>

#include <algorithm>
#include <utility>

#include "worker/base/error.h"
#include "worker/diffusion/denoiser.h"
#include "worker/diffusion/noise_source.h"
#include "worker/diffusion/sampler_table.h"
#include "worker/families/family.h"
#include "worker/generation/drawing_precision.h"
#include "worker/generation/encoded_prompts.h"
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
  if (request.pictures.empty()) Refuse("pictures", "empty", "1 or more");
  if (request.batch_size < 1) Refuse("batch_size", std::to_string(request.batch_size), "1 or more");
}

// The contexts of the next pictures that are denoised together, from that with the index `first`.
std::vector<ToldPrompts> NextBatch(const TextToImageRequest& request, size_t first,
                                   EncodedPrompts& prompts) {
  const size_t end =
      std::min(request.pictures.size(), first + static_cast<size_t>(request.batch_size));
  std::vector<ToldPrompts> told_B;
  for (size_t i = first; i < end; ++i) {
    ToldPrompts told = prompts.Of(request.pictures[i]);
    if (!told_B.empty() && told.length() != told_B.front().length()) break;
    told_B.push_back(std::move(told));
  }
  return told_B;
}

// Each picture has a generator of its own.
PictureNoise NoiseOf(const TextToImageRequest& request, size_t first, size_t count,
                     const std::vector<int64_t>& shape_CHW, torch::Device device) {
  std::vector<uint64_t> seeds;
  for (size_t i = first; i < first + count; ++i) seeds.push_back(request.pictures[i].seed);
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

BatchStart FromNoise(Family& model, const Sampler& sampler, int steps, int64_t count,
                     Geometry geometry, NoiseSource& noise) {
  const auto start_BCHW = sampler.Scaled(noise.Draw(), steps);
  return {.start = {.x_BCHW = start_BCHW},
          .canvas_NChw = model.BlankCanvas(count, geometry, [&] { return noise.Draw(); })};
}

}  // namespace

std::vector<PictureRequest> PicturesOf(const PictureRequest& first, int count) {
  std::vector<PictureRequest> pictures(static_cast<size_t>(count), first);
  for (size_t i = 0; i < pictures.size(); ++i) pictures[i].seed += static_cast<uint32_t>(i);
  return pictures;
}

void GenerateEachImage(Family& model, const TextToImageRequest& request, const TakeImage& take,
                       const GenerationProgress& progress, const GenerationPreviews& previews,
                       StartingPicture* start) {
  torch::NoGradGuard no_grad;
  CheckRequest(request);
  if (request.micro_conditioning) model.RequireNumbers();
  const DrawingPrecision precision(model);
  const Sampler sampler = SamplerOf(model, request.sampler, request.eta);
  const int left_out = request.from ? StepsLeftOut(request.steps, request.from->strength) : 0;
  const int steps = static_cast<int>(sampler.GridOf(request.steps).levels.size()) - left_out;
  const std::vector<int64_t> noise_shape = {model.latent_channels(),
                                            LatentSide("height", request.height, model),
                                            LatentSide("width", request.width, model)};

  // Each prompt and the picture to begin with are encoded once.
  const Geometry geometry{noise_shape[1] * model.cell(), noise_shape[2] * model.cell()};
  EncodedPrompts prompts(model, request, geometry);
  std::optional<StartingPicture> own;
  if (request.from && start == nullptr) start = &own.emplace(model, *request.from, geometry);

  // Denoise and decode batch by batch. Latents stay float32; the model computes in its own type.
  const auto pictures = static_cast<int>(request.pictures.size());
  for (int first = 0; first < pictures;) {
    const auto told_B = NextBatch(request, first, prompts);
    const int count = static_cast<int>(told_B.size());
    int step = 0;
    torch::Tensor clean_BChw;  // as it was expected last
    const auto go_on = [&] {
      if (progress && !progress(first * steps + count * step, pictures * steps)) ThrowStopped();
    };
    const auto after_step = [&] {
      ++step;
      const bool shown = previews.every_steps > 0 && step % previews.every_steps == 0;
      if (shown && step < steps) previews.show(step, first, clean_BChw);
      go_on();
    };
    auto noise = NoiseOf(request, first, count, noise_shape, model.device());
    const auto begin = start ? start->Begin(sampler, request.steps, noise)
                             : FromNoise(model, sampler, request.steps, count, geometry, noise);
    const auto told = ForBatch(told_B, begin.canvas_NChw);
    const NoisePredictor network = [&](const auto& latents, const auto& timesteps) {
      return model.Predict(latents, timesteps, told);
    };
    const Denoiser denoiser(network, sampler.schedule().options().prediction_type,
                            {.scale = request.guidance, .rescale = request.guidance_rescale},
                            sampler.settings().limits,
                            [&](const torch::Tensor& x0_BCHW) { clean_BChw = x0_BCHW; });
    const auto latents_BCHW =
        sampler.SampleFrom(denoiser, begin.start, noise, request.steps, after_step);
    BatchPlace place{.size = count};
    for (const auto& part_BCHW : latents_BCHW.split(DecodedTogether(latents_BCHW, model))) {
      go_on();
      for (auto& image : Decode(model, part_BCHW)) {
        take(std::move(image), place);
        ++place.position;
      }
    }
    first += count;
  }
}

std::vector<Image> GenerateImages(Family& model, const TextToImageRequest& request,
                                  const GenerationProgress& progress,
                                  const GenerationPreviews& previews) {
  std::vector<Image> images;
  const auto take = [&](Image image, BatchPlace) { images.push_back(std::move(image)); };
  GenerateEachImage(model, request, take, progress, previews);
  return images;
}

}  // namespace likeness
