#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "tests/parity/probe.h"
#include "worker/generation/text_to_image.h"
#include "worker/methods/method.h"

namespace likeness {

torch::Tensor StackImages(const std::vector<Image>& images) {
  std::vector<torch::Tensor> pictures;
  for (const Image& image : images) {
    pictures.push_back(
        torch::tensor(image.rgb, torch::kUInt8).view({image.height, image.width, 3}));
  }
  return torch::stack(pictures);
}

Image ToImage(const torch::Tensor& picture_HWC) {
  const auto bytes = picture_HWC.contiguous();
  const auto* data = bytes.data_ptr<uint8_t>();
  return {.width = static_cast<int>(bytes.size(1)),
          .height = static_cast<int>(bytes.size(0)),
          .rgb = {data, data + bytes.numel()}};
}

MicroConditioning ToMicroConditioning(const std::string& numbers) {
  MicroConditioning told;
  std::istringstream stream(numbers);
  stream >> told.original_height >> told.original_width >> told.crop_top >> told.crop_left >>
      told.target_height >> told.target_width;
  return told;
}

// Settings: the fields of TextToImageRequest, for `images` pictures of one prompt with seeds from
// `seed` on; guidance_rescale, clip_skip and eta may be left out, and so may prompt_weights,
// long_prompts ("1"), width and height, and the six numbers of micro_conditioning; an empty
// negative prompt is none; and, where there is one, the directory of an "adapter", its "method" and
// its "strength". A tensor "image" (uint8 [H,W,3]) is started from with "strength_of_change",
// "mask" likewise. Gives "pictures": uint8 [images,H,W,3].
NamedTensors ProbePictures(Family& model, const SafetensorsFile& inputs) {
  const auto& settings = inputs.metadata();
  const auto number = [&](const char* name) {
    return settings.contains(name) ? std::stod(settings.at(name)) : 0;
  };
  std::optional<std::string> negative;
  if (!settings.at("negative_prompt").empty()) negative = settings.at("negative_prompt");
  TextToImageRequest request{
      .pictures = PicturesOf({.prompt = settings.at("prompt"),
                              .negative_prompt = negative,
                              .seed = static_cast<uint32_t>(std::stoul(settings.at("seed")))},
                             std::stoi(settings.at("images"))),
      .sampler = settings.at("sampler"),
      .steps = std::stoi(settings.at("steps")),
      .guidance = std::stod(settings.at("guidance")),
      .guidance_rescale = number("guidance_rescale"),
      .clip_skip = static_cast<int>(number("clip_skip")),
      .prompt_weights = number("prompt_weights") != 0,
      .long_prompts = number("long_prompts") != 0,
      .eta = number("eta"),
      .width = static_cast<int>(number("width")),
      .height = static_cast<int>(number("height")),
      .batch_size = std::stoi(settings.at("batch_size")),
  };
  if (settings.contains("micro_conditioning")) {
    request.micro_conditioning = ToMicroConditioning(settings.at("micro_conditioning"));
  }
  if (inputs.Contains("image")) {
    request.from = {.image = ToImage(inputs.Get("image")),
                    .strength = number("strength_of_change")};
    if (inputs.Contains("mask")) request.from->mask = ToImage(inputs.Get("mask"));
  }
  std::unique_ptr<AppliedAdapter> applied;
  if (settings.contains("adapter")) {
    applied =
        FindMethod(settings.at("method")).apply(model, settings.at("adapter"), number("strength"));
  }
  return {{"pictures", StackImages(GenerateImages(model, request))}};
}

}  // namespace likeness
