#include "worker/jobs/pictures.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
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

// `prompts` of the order, from that with the number `first`.
TextToImageRequest RequestOf(const PictureOrder& order, size_t first, size_t prompts) {
  TextToImageRequest request;
  for (size_t number = first; number < first + prompts; ++number) {
    const auto drawn_before = number * static_cast<size_t>(order.images_per_prompt);
    const PictureRequest picture{.prompt = order.prompts[number],
                                 .negative_prompt = order.negative_prompt,
                                 .seed = order.seed + static_cast<uint32_t>(drawn_before)};
    for (auto& same : PicturesOf(picture, order.images_per_prompt)) {
      request.pictures.push_back(std::move(same));
    }
  }
  request.sampler = order.sampler;
  request.steps = order.steps;
  request.guidance = order.guidance;
  request.guidance_rescale = order.guidance_rescale;
  request.eta = order.eta;
  request.clip_skip = order.clip_skip;
  request.prompt_weights = order.prompt_weights;
  request.long_prompts = order.long_prompts;
  request.width = order.width;
  request.height = order.height;
  request.micro_conditioning = order.micro_conditioning;
  request.from = order.from;
  return request;
}

// The prompts of `count` pictures, each once where it stands several times in a row.
std::string PromptsOf(const TextToImageRequest& request, size_t first, size_t count) {
  std::vector<absl::string_view> prompts;
  for (size_t i = first; i < first + count; ++i) {
    const std::string& prompt = request.pictures[i].prompt;
    if (prompts.empty() || prompts.back() != prompt) prompts.push_back(prompt);
  }
  return absl::StrJoin(prompts, " | ");
}

}  // namespace

Progress PictureMeter::After(double pictures) const {
  const double done = static_cast<double>(done_) + pictures;
  const auto whole = static_cast<int64_t>(done);
  return meter_.After(whole, done - static_cast<double>(whole));
}

void DrawPictures(Family& model, const PictureOrder& order, JobEnvironment& environment,
                  Phases& phases, PictureMeter& meter, std::vector<Picture>& pictures,
                  const ForPrompt& for_prompt) {
  const size_t before = pictures.size();
  phases.Report(meter.After(0));
  const auto side = [&](int asked) {
    return asked > 0 ? asked : static_cast<int>(model.image_size());
  };
  std::optional<StartingPicture> start;
  if (order.from)
    start.emplace(model, *order.from, Geometry{side(order.height), side(order.width)});
  std::optional<LatentPreview> map;
  if (order.preview_every_steps > 0) map.emplace(model);
  const size_t together = for_prompt ? 1 : order.prompts.size();
  for (size_t number = 0; number < order.prompts.size(); number += together) {
    const auto overlay = for_prompt ? for_prompt(number) : nullptr;
    const TextToImageRequest request = RequestOf(order, number, together);
    const size_t drawn = pictures.size() - before;
    const auto take = [&](Image image, BatchPlace place) {
      const size_t index = pictures.size() - before;
      const PictureRequest& picture = request.pictures[index - drawn];
      pictures.push_back({picture.prompt, picture.seed, std::move(image), place,
                          index / static_cast<size_t>(order.images_per_prompt)});
    };
    const auto progress = [&](int step, int steps) {
      const double share = static_cast<double>(step) / steps;
      phases.Report(meter.After(static_cast<double>(drawn) +
                                static_cast<double>(request.pictures.size()) * share));
      return environment.Stop() == StopReason::kNone;
    };
    const auto show = [&](int step, size_t first, const torch::Tensor& clean_BChw) {
      const auto count = static_cast<size_t>(clean_BChw.size(0));
      environment.Show(LivePreview(PromptsOf(request, first, count), step, map->Draw(clean_BChw),
                                   side(order.width), side(order.height)),
                       /*file=*/{});
    };
    GenerateEachImage(model, request, take, progress,
                      {.every_steps = order.preview_every_steps, .show = show},
                      start ? &*start : nullptr);
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
