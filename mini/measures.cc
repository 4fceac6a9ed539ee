#include "mini/measures.h"

#include <numeric>

#include "mini/captions.h"
#include "worker/base/error.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/generation/tensor_image.h"

namespace likeness::mini {
namespace {

// Halves the side at every stage: 64 -> 32 -> 16 -> 8 -> 4, then the mean over what is left.
constexpr int64_t kWidths[] = {16, 32, 64, 128};

torch::nn::Sequential Trunk(int64_t outputs) {
  torch::nn::Sequential trunk;
  int64_t in = 3;
  for (const int64_t out : kWidths) {
    const int64_t inputs[] = {in, out}, strides[] = {2, 1};
    for (int i = 0; i < 2; ++i) {
      trunk->push_back(torch::nn::Conv2d(
          torch::nn::Conv2dOptions(inputs[i], out, 3).stride(strides[i]).padding(1)));
      trunk->push_back(torch::nn::GroupNorm(8, out));
      trunk->push_back(torch::nn::SiLU());
    }
    in = out;
  }
  trunk->push_back(torch::nn::AdaptiveAvgPool2d(1));
  trunk->push_back(torch::nn::Flatten());
  trunk->push_back(torch::nn::Linear(in, outputs));
  return trunk;
}

constexpr char kIdentityFile[] = "identity.safetensors";
constexpr char kAttributesFile[] = "attributes.safetensors";

void Save(const torch::nn::Module& module, const std::filesystem::path& file) {
  auto tensors = StateDict(module);
  for (auto& [name, tensor] : tensors) tensor = tensor.to(torch::kFloat16);
  WriteSafetensors(file, tensors);
}

void Load(torch::nn::Module& module, const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) {
    throw Error(ErrorKind::kFailedPrecondition,
                "the measures' directory holds no " + file.filename().string());
  }
  LoadStateDict(module, SafetensorsFile::Open(file), file.stem().string());
  module.eval();
}

}  // namespace

std::vector<torch::Tensor> SplitByAttribute(const torch::Tensor& logits_BO) {
  std::vector<int64_t> sizes;
  for (const auto& attribute : kAttributes) sizes.push_back(attribute.values);
  return logits_BO.split_with_sizes(sizes, 1);
}

AttributeLabels LabelsOf(const Depiction& depiction) {
  return {static_cast<int>(depiction.identity.subject_class), static_cast<int>(depiction.scene),
          static_cast<int>(depiction.accessory), static_cast<int>(depiction.identity.primary),
          static_cast<int>(depiction.identity.pattern)};
}

std::string LabelName(size_t attribute, int label) {
  switch (attribute) {
    case 0:
      return Name(static_cast<SubjectClass>(label));
    case 1:
      return Name(static_cast<Scene>(label));
    case 2:
      return Name(static_cast<Accessory>(label));
    case 3:
      return Name(static_cast<Colour>(label));
    default:
      return Name(static_cast<Pattern>(label));
  }
}

IdentityEncoderImpl::IdentityEncoderImpl() : trunk_(register_module("trunk", Trunk(kWidth))) {}

torch::Tensor IdentityEncoderImpl::Forward(const torch::Tensor& pictures_BCHW) {
  const auto features_BD = trunk_->forward(pictures_BCHW);
  return features_BD / features_BD.norm(2, {1}, true).clamp_min(1e-6);
}

AttributeClassifierImpl::AttributeClassifierImpl()
    : trunk_(register_module("trunk", Trunk(AttributeOutputs()))) {}

std::vector<torch::Tensor> AttributeClassifierImpl::Forward(const torch::Tensor& pictures_BCHW) {
  return SplitByAttribute(trunk_->forward(pictures_BCHW));
}

void SaveMeasures(const Measures& measures, const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory);
  Save(*measures.identity, directory / kIdentityFile);
  Save(*measures.attributes, directory / kAttributesFile);
}

Measures LoadMeasures(const std::filesystem::path& directory) {
  Measures measures;
  Load(*measures.identity, directory / kIdentityFile);
  Load(*measures.attributes, directory / kAttributesFile);
  return measures;
}

std::vector<Measurement> Measure(Measures& measures, const torch::Tensor& pictures_BCHW) {
  torch::NoGradGuard no_grad;
  std::vector<Measurement> measurements;
  for (const auto& part_BCHW : pictures_BCHW.split(64)) {
    const auto identity_BD = measures.identity->Forward(part_BCHW).contiguous();
    const auto logits = measures.attributes->Forward(part_BCHW);
    for (int64_t i = 0; i < part_BCHW.size(0); ++i) {
      const float* row = identity_BD[i].data_ptr<float>();
      Measurement measurement{{row, row + identity_BD.size(1)}, {}};
      for (size_t a = 0; a < logits.size(); ++a) {
        measurement.attributes[a] = static_cast<int>(logits[a][i].argmax().item<int64_t>());
      }
      measurements.push_back(std::move(measurement));
    }
  }
  return measurements;
}

torch::Tensor MeasuredPictures(const std::vector<Image>& images) {
  std::vector<torch::Tensor> pictures;
  for (const auto& image : images) {
    if (image.width != kImageSize || image.height != kImageSize) {
      throw Error(ErrorKind::kInvalidArgument, "a picture is " + std::to_string(image.width) +
                                                   " x " + std::to_string(image.height) +
                                                   " px; the picture world's are 64 x 64");
    }
    pictures.push_back(ImageToTensor(image));
  }
  return torch::stack(pictures);
}

}  // namespace likeness::mini
