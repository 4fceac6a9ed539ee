#include "worker/methods/initial_values.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/safetensors.h"
#include "worker/base/io/temp_dir.h"
#include "worker/families/tiny_model.h"
#include "worker/methods/imported_lora.h"
#include "worker/methods/lora.h"
#include "worker/methods/lora_directory.h"
#include "worker/methods/merged_model.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

class InitialValuesTest : public testing::Test {
 protected:
  InitialValuesTest() {
    torch::manual_seed(1);
    model_ = std::make_unique<StableDiffusion>(TinyModel());
    for (const Part& part : model_->Parts()) {
      for (auto& parameter : part.module->parameters()) parameter.requires_grad_(false);
    }
  }
  // What `method` writes once its values are no longer those that it begins with.
  fs::path Trained(const std::string& method, const MethodSpec& spec) {
    const auto attached = FindMethod(method).attach(*model_, spec);
    {
      torch::NoGradGuard no_grad;
      torch::manual_seed(2);
      for (const auto& master : attached->masters()) {
        master.detach().add_(torch::randn(master.sizes()), 0.3);
      }
    }
    const fs::path directory = temp_.path() / "trained";
    FindMethod(method).write(*model_, *attached, {.base_model = {}, .out = directory},
                             {{"method", method}});
    return directory;
  }
  torch::Tensor PassWith(const std::string& method, const fs::path& directory) {
    const auto applied = FindMethod(method).apply(*model_, directory, /*strength=*/1);
    return OnePass(*model_, "a dog");
  }
  torch::Tensor PassOfTrainingFrom(const std::string& method, const MethodSpec& spec,
                                   const fs::path& directory) {
    const auto attached = FindMethod(method).attach(*model_, spec);
    BeginWith(FindMethod(method), *model_, *attached, directory);
    return OnePass(*model_, "a dog");
  }

  TempDir temp_;
  std::unique_ptr<StableDiffusion> model_;
};

// Training gives all layers the largest rank, alpha stays the same: what fills a layer up adds
// nothing, and its factors make up for its own scale.
TEST_F(InitialValuesTest, ALoraWhoseLayersHaveRanksOfTheirOwnBeginsAsItDraws) {
  constexpr int64_t kRank = 4;
  const auto base = OnePass(*model_, "a dog");
  for (const LoraVariant variant : {LoraVariant::kLora, LoraVariant::kDora}) {
    SCOPED_TRACE(static_cast<int>(variant));
    MethodSpec spec{.learning_rate = 1e-3};
    spec.lora = {.rank = kRank, .alpha = 3, .targets = {"to_q", "to_v", "conv1"}};
    spec.lora.variant = variant;
    LoraWeights weights = ReadLora(*model_, Trained("lora", spec));
    fs::remove_all(temp_.path() / "trained");
    for (size_t i = 0; i < weights.updates.size(); ++i) {
      LoraUpdate& update = weights.updates[i];
      const int64_t rank = static_cast<int64_t>(i) % kRank + 1;
      update.factors[kLoraDown] = update.factors[kLoraDown].slice(0, 0, rank).contiguous();
      update.factors[kLoraUp] = update.factors[kLoraUp].slice(1, 0, rank).contiguous();
      weights.targets[update.part].push_back(PeftTarget(update.layer));
    }
    const TempDir written, imported;
    WriteLoraWeights(*model_, weights, torch::kFloat32, written.path());
    const auto drawn = PassWith("lora", written.path());
    EXPECT_GT(RelativeDifference(drawn, base), 1e-2);
    EXPECT_LT(RelativeDifference(PassOfTrainingFrom("lora", spec, written.path()), drawn), 1e-4);

    // kohya's file says alphas and shapes alone.
    const auto file = SafetensorsFile::Open(written.path() / kKohyaLoraFile);
    const LoraWeights read = ReadAnyLora(*model_, file).weights;
    EXPECT_EQ(read.scale.rank, kRank);
    EXPECT_DOUBLE_EQ(read.scale.alpha, spec.lora.alpha);
    WriteLoraWeights(*model_, read, torch::kFloat32, imported.path());
    EXPECT_LT(RelativeDifference(PassWith("lora", imported.path()), drawn), 1e-4);
    EXPECT_LT(RelativeDifference(PassOfTrainingFrom("lora", spec, imported.path()), drawn), 1e-4);
  }
}

// Also where other modules lie between the networks' layers, which A1111's names of parameters
// count.
TEST_F(InitialValuesTest, AHypernetworkMayGoOnWithAnotherDropout) {
  MethodSpec spec{.learning_rate = 1e-3};
  spec.hypernetwork = {
      .layer_structure = {1, 2, 2, 1}, .activation = "relu", .layer_norm = true, .dropout = 0.2};
  const auto adapter = Trained("hypernetwork", spec);
  const auto drawn = PassWith("hypernetwork", adapter);
  EXPECT_GT(RelativeDifference(drawn, OnePass(*model_, "a dog")), 1e-3);
  for (const double dropout : {0.0, 0.1, 0.2}) {
    SCOPED_TRACE(dropout);
    spec.hypernetwork.dropout = dropout;
    spec.hypernetwork.last_layer_dropout = dropout == 0.2;
    const auto begun = PassOfTrainingFrom("hypernetwork", spec, adapter);
    EXPECT_TRUE(torch::equal(begun, drawn));
  }
  spec.hypernetwork.activation = "elu";
  EXPECT_THROW(PassOfTrainingFrom("hypernetwork", spec, adapter), Error);
}

}  // namespace
}  // namespace likeness
