// The networks that judge pictures, run on what a Python script has written:
//
//   likeness_evaluator_probe KIND EVALUATOR_DIR INPUTS.safetensors OUTPUTS.safetensors
//
// KIND vit: images -> embeddings; vit_patches: images -> patches. clip: images, and prompts as
// lines in the metadata -> embeddings, texts. siglip: the same, and masks ->
// besides patches, covered, and around: the pools of what is covered by less than half. siglip_ids:
// prompts, and their `length` -> ids. lpips: images, in pairs -> distances. safety_checker:
// images -> scores. vit_pixels, clip_pixels: the preprocessor alone, images -> pixels. Images are
// uint8 [N,H,W,3].
#include <exception>
#include <iostream>
#include <sstream>
#include <string>

#include "worker/base/io/json_file.h"
#include "worker/base/io/safetensors.h"
#include "worker/evaluation/evaluators.h"
#include "worker/tokenizers/siglip_tokenizer.h"

namespace likeness {
namespace {

std::vector<Image> ImagesOf(const SafetensorsFile& inputs, const std::string& name = "images") {
  std::vector<Image> images;
  for (const auto& bytes_HWC : inputs.Get(name).unbind()) {
    Image image{.width = static_cast<int>(bytes_HWC.size(1)),
                .height = static_cast<int>(bytes_HWC.size(0)),
                .rgb = {}};
    const auto whole = bytes_HWC.contiguous();
    image.rgb.assign(whole.data_ptr<uint8_t>(), whole.data_ptr<uint8_t>() + whole.numel());
    images.push_back(std::move(image));
  }
  return images;
}

template <typename Evaluator>
torch::Tensor EmbeddingsOf(Evaluator& evaluator, const SafetensorsFile& inputs) {
  std::vector<torch::Tensor> rows;
  for (const auto& image : ImagesOf(inputs)) rows.push_back(evaluator.Embed(image));
  return torch::cat(rows);
}

std::vector<std::string> PromptsOf(const SafetensorsFile& inputs) {
  std::vector<std::string> prompts;
  std::istringstream lines(inputs.metadata().at("prompts"));
  for (std::string line; std::getline(lines, line);) prompts.push_back(line);
  return prompts;
}

NamedTensors Siglip(const std::string& directory, const SafetensorsFile& inputs) {
  SiglipEvaluator evaluator(directory, torch::kCPU);
  const auto masks = ImagesOf(inputs, "masks");
  std::vector<torch::Tensor> patches, covered, around, texts;
  for (const auto& image : ImagesOf(inputs)) {
    const auto seen = evaluator.EmbedParts({&image})[0];
    covered.push_back(evaluator.Covered(masks.at(patches.size())));
    patches.push_back(seen.patches_PD);
    around.push_back(evaluator.Pool(seen, covered.back() < 0.5));
  }
  for (const auto& prompt : PromptsOf(inputs)) texts.push_back(evaluator.EmbedText(prompt));
  return {{"embeddings", EmbeddingsOf(evaluator, inputs)},
          {"patches", torch::stack(patches)},
          {"covered", torch::stack(covered)},
          {"around", torch::cat(around)},
          {"texts", torch::cat(texts)}};
}

NamedTensors Run(const std::string& kind, const std::string& directory,
                 const SafetensorsFile& inputs) {
  if (kind == "vit") {
    DinoEvaluator evaluator(directory, torch::kCPU);
    return {{"embeddings", EmbeddingsOf(evaluator, inputs)}};
  }
  if (kind == "vit_patches") {
    DinoEvaluator evaluator(directory, torch::kCPU);
    std::vector<torch::Tensor> patches;
    for (const auto& image : ImagesOf(inputs)) patches.push_back(evaluator.EmbedPatches(image));
    return {{"patches", torch::stack(patches)}};
  }
  if (kind == "clip") {
    ClipEvaluator evaluator(directory, torch::kCPU);
    std::vector<torch::Tensor> texts;
    for (const auto& line : PromptsOf(inputs)) texts.push_back(evaluator.EmbedText(line));
    return {{"embeddings", EmbeddingsOf(evaluator, inputs)}, {"texts", torch::cat(texts)}};
  }
  if (kind == "siglip") return Siglip(directory, inputs);
  if (kind == "siglip_ids") {
    const auto tokenizer = SiglipTokenizer::Load(directory);
    std::vector<torch::Tensor> ids;
    for (const auto& prompt : PromptsOf(inputs)) {
      ids.push_back(torch::tensor(
          tokenizer.EncodePadded(prompt, std::stoll(inputs.metadata().at("length")))));
    }
    return {{"ids", torch::stack(ids)}};
  }
  if (kind == "lpips") {
    LpipsEvaluator evaluator(directory, torch::kCPU);
    const auto images = ImagesOf(inputs);
    std::vector<float> distances;
    for (size_t i = 0; i + 1 < images.size(); i += 2) {
      distances.push_back(static_cast<float>(
          evaluator.Distance(evaluator.Features(images[i]), evaluator.Features(images[i + 1]))));
    }
    return {{"distances", torch::tensor(distances)}};
  }
  if (kind == "safety_checker") {
    SafetyEvaluator evaluator(directory, torch::kCPU);
    std::vector<torch::Tensor> scores;
    for (const auto& image : ImagesOf(inputs)) scores.push_back(evaluator.ConceptScores(image));
    return {{"scores", torch::cat(scores)}};
  }
  const bool clip = kind == "clip_pixels";
  const ImagePreprocessor read(ImagePreprocessorOptions::FromJson(
      ReadJsonFile(std::filesystem::path(directory) / "preprocessor_config.json"), clip));
  std::vector<torch::Tensor> pixels;
  for (const auto& image : ImagesOf(inputs)) pixels.push_back(read(image));
  return {{"pixels", torch::cat(pixels)}};
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: " << argv[0]
              << " KIND EVALUATOR_DIR INPUTS.safetensors OUTPUTS.safetensors\n";
    return 2;
  }
  try {
    const auto inputs = likeness::SafetensorsFile::Open(argv[3]);
    likeness::WriteSafetensors(argv[4], likeness::Run(argv[1], argv[2], inputs));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << argv[1] << ": " << error.what() << "\n";
    return 1;
  }
}
