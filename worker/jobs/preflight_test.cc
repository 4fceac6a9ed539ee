#include "worker/jobs/preflight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "worker/base/error.h"
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

}  // namespace
}  // namespace likeness
