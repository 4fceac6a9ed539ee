#include <memory>
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

// Settings: the fields of TextToImageRequest; guidance_rescale, clip_skip and eta may be left out,
// and an empty negative prompt is none; and, where there is one, the directory of an "adapter", its
// "method" and its "strength". Gives "pictures": uint8 [images,H,W,3].
NamedTensors ProbePictures(Family& model, const SafetensorsFile& inputs) {
  const auto& settings = inputs.metadata();
  const auto number = [&](const char* name) {
    return settings.contains(name) ? std::stod(settings.at(name)) : 0;
  };
  TextToImageRequest request{
      .prompt = settings.at("prompt"),
      .images = std::stoi(settings.at("images")),
      .seed = static_cast<uint32_t>(std::stoul(settings.at("seed"))),
      .sampler = settings.at("sampler"),
      .steps = std::stoi(settings.at("steps")),
      .guidance = std::stod(settings.at("guidance")),
      .guidance_rescale = number("guidance_rescale"),
      .clip_skip = static_cast<int>(number("clip_skip")),
      .eta = number("eta"),
      .batch_size = std::stoi(settings.at("batch_size")),
  };
  if (!settings.at("negative_prompt").empty()) {
    request.negative_prompt = settings.at("negative_prompt");
  }
  std::unique_ptr<AppliedAdapter> applied;
  if (settings.contains("adapter")) {
    applied =
        FindMethod(settings.at("method")).apply(model, settings.at("adapter"), number("strength"));
  }
  return {{"pictures", StackImages(GenerateImages(model, request))}};
}

}  // namespace likeness
