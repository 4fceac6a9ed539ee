// Evaluators whose weights are damaged, or whose settings do not fit, give no results.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/json_file.h"
#include "worker/base/io/safetensors.h"
#include "worker/base/io/temp_dir.h"
#include "worker/evaluation/evaluators.h"
#include "worker/evaluation/tiny_evaluators.h"
#include "worker/evaluation/tiny_siglip.h"

namespace likeness {
namespace {

class FiniteResults : public ::testing::Test {
 protected:
  FiniteResults() {
    torch::manual_seed(7);
    WriteTinyEvaluators(folder_.path());
    WriteTinySiglip(folder_.path() / "tiny-siglip");
    for (const int value : {40, 200}) {
      pictures_.push_back({.width = 64, .height = 64, .rgb = std::vector<uint8_t>(64 * 64 * 3)});
      for (size_t i = 0; i < pictures_.back().rgb.size(); i += 7) {
        pictures_.back().rgb[i] = static_cast<uint8_t>(value);
      }
    }
  }

  // Every weight multiplied.
  void Scale(const std::string& name, double factor) const {
    torch::NoGradGuard no_grad;
    const auto file = folder_.path() / name / "model.safetensors";
    NamedTensors tensors;
    const auto weights = SafetensorsFile::Open(file);
    for (const auto& key : weights.Names()) tensors.emplace_back(key, weights.Get(key) * factor);
    WriteSafetensors(file, tensors);
  }

  static void ExpectRefused(const std::string& name, const std::function<void()>& use) {
    try {
      use();
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
      EXPECT_NE(std::string(error.what()).find("not finite"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  }

  // Loaded and asked.
  void Ask(const std::string& name, EvaluatorKind kind) const {
    const auto loaded = LoadEvaluators(
        {{.name = name, .directory = folder_.path() / name, .kind = kind, .general = true}},
        torch::kCPU);
    if (loaded.dino) (void)loaded.dino->Embed(pictures_[0]);
    if (loaded.clip) (void)loaded.clip->Embed(pictures_[0]);
    if (loaded.siglip) (void)loaded.siglip->EmbedPatches(pictures_[0]);
    if (loaded.safety_checker) (void)loaded.safety_checker->ConceptScores(pictures_[0]);
    if (!loaded.lpips) return;
    (void)loaded.lpips->Distance(loaded.lpips->Features(pictures_[0]),
                                 loaded.lpips->Features(pictures_[1]));
  }

  TempDir folder_;
  std::vector<Image> pictures_;
};

TEST_F(FiniteResults, WeightsOrResultsThatAreNotFiniteAreRefusedByTheEvaluatorsName) {
  const std::vector<std::pair<std::string, EvaluatorKind>> all = {
      {"tiny-dino", EvaluatorKind::kVit},
      {"tiny-clip", EvaluatorKind::kClip},
      {"tiny-siglip", EvaluatorKind::kSiglip},
      {"tiny-lpips", EvaluatorKind::kLpips},
      {"tiny-safety-checker", EvaluatorKind::kSafetyChecker}};
  for (const auto& [name, kind] : all) {
    Ask(name, kind);
    Scale(name, 1e20);
    ExpectRefused(name, [&] { Ask(name, kind); });
    Scale(name, std::numeric_limits<double>::quiet_NaN());
    ExpectRefused(name, [&] { Ask(name, kind); });
  }
}

TEST_F(FiniteResults, PicturesOfAnotherSizeThanTheNetworkReadsAreRefusedWhenItIsLoaded) {
  for (const auto& [name, kind] : {std::pair{"tiny-dino", EvaluatorKind::kVit},
                                   {"tiny-clip", EvaluatorKind::kClip},
                                   {"tiny-siglip", EvaluatorKind::kSiglip},
                                   {"tiny-safety-checker", EvaluatorKind::kSafetyChecker}}) {
    const auto file = folder_.path() / name / "preprocessor_config.json";
    auto config = ReadJsonFile(file);
    config["size"] = {{"height", 48}, {"width", 32}};
    config["do_center_crop"] = false;
    WriteJsonFile(file, config);
    try {
      LoadEvaluators(
          {{.name = name, .directory = folder_.path() / name, .kind = kind, .general = true}},
          torch::kCPU);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
      EXPECT_EQ(std::string(error.what()),
                "evaluator \"" + std::string(name) +
                    "\": preprocessor_config.json makes pictures of 32 x 48 pixels; the network "
                    "reads 64 x 64, image_size of its config.json");
    }
  }
}

}  // namespace
}  // namespace likeness
