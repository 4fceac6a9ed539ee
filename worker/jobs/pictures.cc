#include "worker/jobs/pictures.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "worker/generation/drawing_precision.h"
#include "worker/images/crop.h"
#include "worker/images/encode.h"
#include "worker/jobs/outputs.h"
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
                  Phases& phases, PictureMeter& meter, std::vector<Picture>& pictures) {
  const size_t first = pictures.size();
  const DrawingPrecision precision(model);  // once for all prompts
  phases.Report(meter.After(0));
  for (const auto& prompt : order.prompts) {
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
    const auto images = GenerateImages(model, request, [&](int step, int steps) {
      phases.Report(
          meter.After(drawn + static_cast<double>(order.images_per_prompt) * step / steps));
      return environment.Stop() == StopReason::kNone;
    });
    for (const auto& image : images) {
      const auto seed = order.seed + static_cast<uint32_t>(pictures.size() - first);
      pictures.push_back({prompt, seed, image});
    }
  }
  meter.Add(order.size());
}

std::vector<v1::Output> WritePictures(const std::vector<Picture>& pictures,
                                      JobEnvironment& environment) {
  std::vector<v1::Output> outputs;
  for (const auto& picture : pictures) {
    v1::Output output;
    output.set_kind(v1::OUTPUT_KIND_IMAGE);
    output.set_path(absl::StrFormat("samples/%04d.png", outputs.size()));
    output.set_prompt(picture.prompt);
    output.set_seed(picture.seed);
    const auto file = environment.scratch() / output.path();
    WriteFile(file, EncodePicture(picture.image));
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
