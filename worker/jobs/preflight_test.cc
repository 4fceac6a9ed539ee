#include "worker/jobs/preflight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "worker/base/error.h"
#include "worker/families/tiny_model.h"
#include "worker/support/guard.h"
#include "worker/support/scratch.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

class FileNamesTest : public ::testing::Test {
 protected:
  void Add(const std::string& file) {
    fs::create_directories((base_ / file).parent_path());
    std::ofstream(base_ / file) << "{}";
  }
  std::string Complaint(bool train_text_encoder = false) {
    v1::FineTuneSpec spec;
    spec.mutable_dreambooth()->set_train_text_encoder(train_text_encoder);
    return std::string(Guard([&] { CheckFileNames(base_, spec); }).message());
  }

  Scratch scratch_{fs::temp_directory_path()};
  const fs::path base_ = scratch_.path() / "base";
};

TEST_F(FileNamesTest, OnlyWhatBecomesPartOfTheResultNeedsANameThatOutputsMayHave) {
  Add("model_index.json");
  Add("unet/diffusion_pytorch_model.safetensors");
  Add("v1-5 pruned (ema only).safetensors");  // a single-file checkpoint beside the folders
  Add("unet/my weights.safetensors");         // training replaces them
  Add("read me.md");
  EXPECT_EQ(Complaint(), "");
  Add("text_encoder/my weights.safetensors");
  EXPECT_THAT(Complaint(), ::testing::HasSubstr("text_encoder/my weights.safetensors"));
  EXPECT_EQ(Complaint(/*train_text_encoder=*/true), "");
  Add("tokenizer/vocab (1).json");
  EXPECT_THAT(Complaint(true), ::testing::HasSubstr("tokenizer/vocab (1).json"));
}

class SilentEnvironment : public JobEnvironment {
 public:
  const fs::path& scratch() const override { return scratch_.path(); }
  void FetchBlob(const std::string&, const fs::path&, const OnBytes&) override {}
  void Keep(const fs::path&, const v1::Output&, const OnBytes&) override {}
  void Resolved(const v1::ResolvedSpec&) override {}
  void Warn(const std::string&) override {}
  void Report(const v1::Progress&) override {}
  void Show(const v1::SampleEvent&, const fs::path&) override {}
  StopReason Stop() override { return StopReason::kNone; }
  void SaveCheckpoint(int64_t, const fs::path&) override {}

 private:
  Scratch scratch_{fs::temp_directory_path()};
};

TEST(CheckFineTuneTest, HowPicturesAreDrawnIsCheckedWhereTheyCompareCheckpointsAlone) {
  const StableDiffusion model = TinyModel();
  SilentEnvironment environment;
  v1::FineTuneSpec spec;
  spec.add_subjects()->set_token("zwx");
  spec.mutable_subjects(0)->set_class_noun("dog");
  spec.mutable_samples()->set_sampler("ddim");
  spec.mutable_samples()->set_steps(5000);
  const auto complaint = [&] {
    return std::string(Guard([&] { CheckFineTune(spec, model, environment); }).message());
  };
  EXPECT_EQ(complaint(), "");  // nothing is drawn
  spec.mutable_training()->set_stop_rule(v1::STOP_RULE_BEST);
  EXPECT_THAT(complaint(), ::testing::HasSubstr("steps is 5000"));
  spec.mutable_samples()->set_steps(5);
  EXPECT_EQ(complaint(), "");
}

}  // namespace
}  // namespace likeness
