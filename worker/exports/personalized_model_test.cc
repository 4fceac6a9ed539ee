#include "worker/exports/personalized_model.h"

#include <gtest/gtest.h>

#include <fstream>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/temp_dir.h"
#include "worker/checkpoints/model_digest.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/families/diffusers_directory.h"
#include "worker/families/tiny_model.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

class PersonalizedModelTest : public testing::Test {
 protected:
  PersonalizedModelTest() { SaveModel(base(), model_, torch::kFloat32); }
  fs::path base() const { return temp_.path() / "base"; }
  fs::path out() const { return temp_.path() / "out"; }
  void Write() {
    WritePersonalizedModel(
        base(), out(),
        {{"unet", "diffusion_pytorch_model.safetensors", StateDict(*model_.parts().unet)}},
        torch::kFloat32, {{"token", "sks"}});
  }

  TempDir temp_;
  StableDiffusion model_ = TinyModel();
};

// As where several models share an autoencoder, and as in a Hugging Face cache.
TEST_F(PersonalizedModelTest, FoldersAndFilesThatAreSymbolicLinksArePartOfTheResult) {
  fs::rename(base() / "vae", temp_.path() / "vae");
  fs::create_directory_symlink(temp_.path() / "vae", base() / "vae");
  const auto text = base() / "text_encoder/model.safetensors";
  fs::rename(text, temp_.path() / "blob");
  fs::create_symlink(temp_.path() / "blob", text);
  Write();
  EXPECT_FALSE(fs::is_symlink(out() / "vae"));
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(out() / "text_encoder/model.safetensors")));
  EXPECT_EQ(ModelDigest(out()), ModelDigest(base()));
  EXPECT_EQ(LoadModel(out())->image_size(), 16);
}

TEST_F(PersonalizedModelTest, OnlyWhatIsPartOfAModelIsTaken) {
  for (const char* file : {"model.safetensors", "README.md", "unet/extra.safetensors",
                           "unet/diffusion_pytorch_model.bin", ".hidden.json"}) {
    std::ofstream(base() / file) << "x";
  }
  Write();
  for (const char* file : {"model.safetensors", "README.md", "unet/extra.safetensors",
                           "unet/diffusion_pytorch_model.bin", ".hidden.json"}) {
    EXPECT_FALSE(fs::exists(out() / file)) << file;
  }
  EXPECT_TRUE(fs::exists(out() / "scheduler/scheduler_config.json"));
}

// Beside the new weights an index would lead to the base's old ones.
TEST_F(PersonalizedModelTest, NoIndexOfTheBasesShardsIsLeftBesideWhatTookTheirPlace) {
  const char* indexes[] = {"diffusion_pytorch_model.safetensors.index.json",
                           "diffusion_pytorch_model.safetensors.index.fp16.json",
                           "diffusion_pytorch_model.fp16.safetensors.index.json",
                           "diffusion_pytorch_model.bin.index.json"};
  for (const char* index : indexes) {
    std::ofstream(base() / "unet" / index) << "{}";
    std::ofstream(base() / "vae" / index) << "{}";
  }
  Write();
  for (const std::string index : indexes) {
    EXPECT_FALSE(fs::exists(out() / "unet" / index)) << index;
    EXPECT_EQ(fs::exists(out() / "vae" / index), index.find(".bin") == std::string::npos) << index;
  }
}

}  // namespace
}  // namespace likeness
