#include "worker/generation/drawing_precision.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "worker/families/tiny_model.h"
#include "worker/generation/text_to_image.h"
#include "worker/nn/one_dnn.h"

namespace likeness {
namespace {

class DrawingPrecisionTest : public testing::Test {
 protected:
  // That of a bias.
  static torch::ScalarType DtypeOf(const Family& model, Role role) {
    for (const Part& part : model.Parts()) {
      if (part.role == role) return part.module->parameters().back().scalar_type();
    }
    return torch::kInt64;
  }
  static bool PacksLayers(const Family& model) {
    for (const Part& part : model.DrawingParts()) {
      for (const auto& module : part.module->modules()) {
        for (const auto& parameter : module->parameters(/*recurse=*/false)) {
          if (IsPacked(*module, parameter)) return true;
        }
      }
    }
    return false;
  }
  std::vector<torch::Tensor> Weights() const {
    std::vector<torch::Tensor> weights;
    for (const Part& part : whole_.Parts()) {
      for (const auto& parameter : part.module->parameters()) weights.push_back(parameter.clone());
    }
    return weights;
  }
  static std::vector<uint8_t> Draw(Family& model) {
    return GenerateImages(model, {.pictures = {{.prompt = "a dog", .seed = 5}}, .steps = 4})
        .at(0)
        .rgb;
  }

  StableDiffusion whole_ = [] {
    torch::manual_seed(7);
    return TinyModel();
  }();
  // The same weights, drawn with in bfloat16.
  StableDiffusion rounded_ =
      StableDiffusion(whole_.parts(), whole_.schedule(), {.drawing_dtype = torch::kBFloat16});
};

TEST_F(DrawingPrecisionTest, TheWeightsAreRoundedForAWhileAndComeBack) {
  const auto before = Weights();
  {
    const DrawingPrecision precision(rounded_);
    const DrawingPrecision within(rounded_);
    EXPECT_EQ(PacksLayers(rounded_), one_dnn::Computes(torch::kCPU, torch::kBFloat16));
    EXPECT_EQ(DtypeOf(rounded_, Role::kDenoiser), torch::kBFloat16);
    EXPECT_EQ(DtypeOf(rounded_, Role::kAutoencoder), torch::kBFloat16);
    EXPECT_EQ(DtypeOf(rounded_, Role::kTextEncoder), torch::kFloat32);
  }
  const auto after = Weights();
  for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(torch::equal(before[i], after[i]));
}

TEST_F(DrawingPrecisionTest, ByDefaultNothingIsRounded) {
  const DrawingPrecision precision(whole_);
  EXPECT_EQ(PacksLayers(whole_), one_dnn::Computes(torch::kCPU, torch::kFloat32));
  EXPECT_EQ(DtypeOf(whole_, Role::kDenoiser), torch::kFloat32);
}

TEST_F(DrawingPrecisionTest, PicturesAreNearlyTheSame) {
  const auto wanted = Draw(whole_), drawn = Draw(rounded_);
  double sum = 0;
  for (size_t i = 0; i < wanted.size(); ++i) sum += std::abs(wanted[i] - drawn[i]);
  EXPECT_LT(sum / static_cast<double>(wanted.size()), 4);
  EXPECT_NE(wanted, drawn);
  EXPECT_EQ(Draw(whole_), wanted) << "the weights that both share are as they were";
}

TEST_F(DrawingPrecisionTest, WeightsComeBackWhenDrawingFails) {
  EXPECT_ANY_THROW(GenerateImages(rounded_, {.pictures = {{.prompt = "a dog"}}, .steps = 4},
                                  [](int, int) { return false; }));
  EXPECT_EQ(DtypeOf(rounded_, Role::kDenoiser), torch::kFloat32);
}

}  // namespace
}  // namespace likeness
