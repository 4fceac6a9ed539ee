#include "worker/methods/float8_lora.h"

#include <gtest/gtest.h>

#include <cmath>

#include "worker/base/io/temp_dir.h"
#include "worker/families/tiny_model.h"
#include "worker/methods/extracted_lora.h"
#include "worker/methods/imported_lora.h"
#include "worker/methods/lora_directory.h"
#include "worker/nn/hookable_layers.h"

namespace likeness {
namespace {

// Updates of a tiny model's layers, whose magnitudes differ by a factor of `spread` and more.
LoraWeights UpdatesOf(const Family& model, double spread) {
  torch::manual_seed(3);
  LoraWeights weights{.scale = {.rank = 4, .alpha = 4}, .updates = {}, .targets = {}};
  for (const Part& part : model.Parts()) {
    if (part.role == Role::kAutoencoder) continue;
    for (const HookableLayer& layer : LayersOf(*part.module)) {
      if (!IsTarget(layer.name, {"to_q", "to_v", "conv1", "q_proj"})) continue;
      auto shape = layer.weight.sizes().vec();
      const double size = std::pow(spread, torch::rand({}).item<double>());
      const bool conv = shape.size() == 4;
      auto up = torch::randn(conv ? std::vector<int64_t>{shape[0], 4, 1, 1}
                                  : std::vector<int64_t>{shape[0], 4});
      shape[0] = 4;
      weights.updates.push_back(
          {part.name,
           layer.name,
           {{kLoraDown, torch::randn(shape) * 1e-2 * size}, {kLoraUp, up * 1e-3}}});
      weights.targets[part.name].push_back(PeftTarget(layer.name));
    }
  }
  return weights;
}

class Float8LoraTest : public testing::Test {
 protected:
  Float8LoraTest() : model_(TinyModel()) {}

  TempDir temp_;
  StableDiffusion model_;
};

TEST_F(Float8LoraTest, KeepsUpdatesOfManySizesToTheFormatsPrecision) {
  for (const double spread : {1., 1e4}) {
    const LoraWeights exact = UpdatesOf(model_, spread);
    const LoraWeights rounded = InFloat8(exact);
    const double error = UpdateDifference(rounded, exact);
    EXPECT_GT(error, 0.02);  // each factor is rounded to 3 bits
    EXPECT_LT(error, 0.05);
    double largest = 0;
    for (size_t i = 0; i < exact.updates.size(); ++i) {
      LoraWeights one = exact, one_rounded = rounded;
      one.updates = {exact.updates[i]};
      one_rounded.updates = {rounded.updates[i]};
      EXPECT_LT(UpdateDifference(one_rounded, one), 0.07) << exact.updates[i].layer;
      for (const auto& [name, factor] : rounded.updates[i].factors) {
        ASSERT_EQ(factor.scalar_type(), torch::kFloat8_e4m3fn);
        largest = std::max(largest, factor.to(torch::kFloat32).abs().max().item<double>());
      }
    }
    EXPECT_EQ(largest, 8);  // what half precision bears
  }
}

TEST_F(Float8LoraTest, ZerosStayZeros) {
  LoraWeights weights = UpdatesOf(model_, 1);
  weights.updates[0].factors[kLoraUp].zero_();
  const LoraWeights rounded = InFloat8(weights);
  EXPECT_EQ(rounded.updates[0].factors.at(kLoraUp).to(torch::kFloat32).abs().max().item<float>(),
            0);
  EXPECT_LT(UpdateDifference(rounded, weights), 0.05);
  for (LoraUpdate& update : weights.updates) update.factors[kLoraDown].zero_();
  EXPECT_EQ(UpdateDifference(InFloat8(weights), weights), 0);
}

TEST_F(Float8LoraTest, BothFilesAreReadAsTheRoundedUpdates) {
  const LoraWeights rounded = InFloat8(UpdatesOf(model_, 100));
  WriteLoraWeights(model_, rounded, torch::kFloat8_e4m3fn, temp_.path());
  for (const char* file : {kDiffusersLoraFile, kKohyaLoraFile}) {
    const auto open = SafetensorsFile::Open(temp_.path() / file);
    const LoraWeights read = ReadAnyLora(model_, open).weights;
    ASSERT_EQ(read.updates.size(), rounded.updates.size()) << file;
    EXPECT_LT(UpdateDifference(read, rounded), 1e-6) << file;
  }
}

}  // namespace
}  // namespace likeness
