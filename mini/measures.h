// What the picture world is measured with, in place of DINO and CLIP: an identity encoder (is it
// *that* subject?) and a classifier of what captions say (is it what the prompt asked for?). Both
// are small convolutional networks, trained by the stage `measures` of pretraining on identities
// that no test subject shares a look with.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "mini/world.h"
#include "worker/base/image.h"

namespace likeness::mini {

// What the classifier tells, in the order of its outputs.
struct Attribute {
  const char* name;
  int values;
};
inline constexpr std::array<Attribute, 5> kAttributes = {{{"class", kClasses},
                                                          {"scene", kScenes},
                                                          {"accessory", kAccessories},
                                                          {"colour", kColours},
                                                          {"pattern", kPatterns}}};

constexpr int64_t AttributeOutputs() {
  int64_t outputs = 0;
  for (const auto& attribute : kAttributes) outputs += attribute.values;
  return outputs;
}
// [B,AttributeOutputs()] as the logits of each attribute, [B,values].
std::vector<torch::Tensor> SplitByAttribute(const torch::Tensor& logits_BO);

using AttributeLabels = std::array<int, kAttributes.size()>;
AttributeLabels LabelsOf(const Depiction& depiction);
// "dog", "purple-rug", "none", ...: value `label` of attribute `attribute`.
std::string LabelName(size_t attribute, int label);

// Pictures are float32 [B,3,64,64] in [-1,1].
class IdentityEncoderImpl : public torch::nn::Module {
 public:
  static constexpr int64_t kWidth = 64;
  IdentityEncoderImpl();
  // Unit vectors [B,kWidth]; their inner products are the similarities of subjects.
  torch::Tensor Forward(const torch::Tensor& pictures_BCHW);

 private:
  torch::nn::Sequential trunk_;
};
TORCH_MODULE(IdentityEncoder);

class AttributeClassifierImpl : public torch::nn::Module {
 public:
  AttributeClassifierImpl();
  // Logits of each attribute, [B,values].
  std::vector<torch::Tensor> Forward(const torch::Tensor& pictures_BCHW);

 private:
  torch::nn::Sequential trunk_;
};
TORCH_MODULE(AttributeClassifier);

// The two as files: identity.safetensors and attributes.safetensors, float16.
struct Measures {
  IdentityEncoder identity;
  AttributeClassifier attributes;
};
void SaveMeasures(const Measures& measures, const std::filesystem::path& directory);
// Errors: kFailedPrecondition, naming the file that is missing or does not fit.
Measures LoadMeasures(const std::filesystem::path& directory);

// float32 [B,3,64,64] in [-1,1]; pictures of another size are kInvalidArgument.
torch::Tensor MeasuredPictures(const std::vector<Image>& images);

struct Measurement {
  std::vector<float> identity;  // the unit vector
  AttributeLabels attributes;   // the likeliest value of each
};
std::vector<Measurement> Measure(Measures& measures, const torch::Tensor& pictures_BCHW);

}  // namespace likeness::mini
