#include "worker/jobs/pictures.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "worker/generation/drawing_precision.h"
#include "worker/generation/latent_preview.h"
#include "worker/generation/starting_picture.h"
#include "worker/images/crop.h"
#include "worker/images/encode.h"
#include "worker/jobs/live_preview.h"
#include "worker/jobs/outputs.h"
#include "worker/jobs/picture_settings.h"
#include "worker/support/files.h"

namespace likeness {
namespace {

constexpr size_t kThumbnailBytes = 64 << 10;
constexpr int kThumbnailSide = 256;

}  // namespace

Progress PictureMeter::After(double pictures) const {
  const double done = static_cast<double>(done_) + pictures;
  const auto whole = static_cast<int64_t>(done);
  return meter_.After(whole, done - static_cast<double>(whole));
}

void DrawPictures(Family& model, const PictureOrder& order, JobEnvironment& environment,
                  Phases& phases, PictureMeter& meter, std::vector<Picture>& pictures,
                  const ForPrompt& for_prompt) {
  const size_t first = pictures.size();
  // Once for all prompts, unless adapters are laid over the model between them.
  std::optional<DrawingPrecision> precision;
  if (!for_prompt) precision.emplace(model);
  phases.Report(meter.After(0));
  const auto side = [&](int asked) {
    return asked > 0 ? asked : static_cast<int>(model.image_size());
  };
  std::optional<StartingPicture> start;
  if (order.from)
    start.emplace(model, *order.from, Geometry{side(order.height), side(order.width)});
  std::optional<LatentPreview> map;
  if (order.preview_every_steps > 0) map.emplace(model);
  for (size_t number = 0; number < order.prompts.size(); ++number) {
    const std::string& prompt = order.prompts[number];
    const auto overlay = for_prompt ? for_prompt(number) : nullptr;
    const int drawn = static_cast<int>(pictures.size() - first);
    TextToImageRequest request;
    request.prompt = prompt;
    request.negative_prompt = order.negative_prompt;
    request.images = order.images_per_prompt;
    request.seed = order.seed + static_cast<uint32_t>(drawn);
    request.sampler = order.sampler;
    request.steps = order.steps;
    request.guidance = order.guidance;
    request.guidance_rescale = order.guidance_rescale;
    request.clip_skip = order.clip_skip;
    request.prompt_weights = order.prompt_weights;
    request.long_prompts = order.long_prompts;
    request.width = order.width;
    request.height = order.height;
    request.from = order.from;
    const auto show = [&](int step, const torch::Tensor& clean_BChw) {
      environment.Show(
          LivePreview(prompt, step, map->Draw(clean_BChw), side(order.width), side(order.height)),
          /*file=*/{});
    };
    const auto images = GenerateImages(
        model, request,
        [&](int step, int steps) {
          phases.Report(
              meter.After(drawn + static_cast<double>(order.images_per_prompt) * step / steps));
          return environment.Stop() == StopReason::kNone;
        },
        {.every_steps = order.preview_every_steps, .show = show}, start ? &*start : nullptr);
    for (int i = 0; i < std::ssize(images); ++i) {
      const int position = i % request.batch_size;
      const int size = std::min(request.batch_size, request.images - (i - position));
      pictures.push_back(
          {prompt, request.seed + static_cast<uint32_t>(i), images[i], {size, position}, number});
    }
  }
  meter.Add(order.size());
}

std::string PicturePath(size_t index) { return absl::StrFormat("samples/%04d.png", index); }

std::vector<v1::Output> WritePictures(const std::vector<Picture>& pictures,
                                      const PictureSettings& settings,
                                      JobEnvironment& environment) {
  std::vector<v1::Output> outputs;
  for (size_t i = 0; i < pictures.size(); ++i) {
    const auto& picture = pictures[i];
    if (picture.withheld()) continue;
    v1::Output output;
    output.set_kind(v1::OUTPUT_KIND_IMAGE);
    output.set_path(PicturePath(i));
    output.set_prompt(picture.prompt);
    output.set_seed(picture.seed);
    const auto file = environment.scratch() / output.path();
    WriteFile(file, EncodeWithSettings(picture, settings));
    outputs.push_back(DescribeFile(file, output));
  }
  return outputs;
}

int DrawingPrecisionBits(const Family& model) {
  return static_cast<int>(8 * c10::elementSize(model.drawing_dtype()));
}

std::string EncodePicture(const Image& image) { return EncodePng(image); }

std::string Thumbnail(const Image& image, const std::string& png) {
  if (png.size() <= kThumbnailBytes) return png;
  const double scale = static_cast<double>(kThumbnailSide) / std::max(image.width, image.height);
  const int width = std::max(1, static_cast<int>(image.width * scale));
  const int height = std::max(1, static_cast<int>(image.height * scale));
  return EncodeJpeg(Resize(image, width, height), 85);
}

}  // namespace likeness
