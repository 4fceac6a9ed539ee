#include "worker/families/diffusers_directory.h"

#include <gtest/gtest.h>

#include <fstream>

#include "worker/base/error.h"
#include "worker/base/io/json_file.h"
#include "worker/base/io/temp_dir.h"
#include "worker/checkpoints/model_digest.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/families/tiny_model.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

class DiffusersDirectoryTest : public testing::Test {
 protected:
  DiffusersDirectoryTest() { SaveModel(dir(), model_, torch::kFloat32); }
  fs::path dir() const { return temp_.path() / "model"; }
  fs::path unet_file() const { return dir() / "unet" / "diffusion_pytorch_model.safetensors"; }

  void ExpectRefused(ErrorKind kind, const std::string& says) {
    try {
      LoadModel(dir());
      ADD_FAILURE() << "loaded; expected: " << says;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
      EXPECT_EQ(std::string(error.what()).find(temp_.path().string()), std::string::npos);
    }
  }
  static torch::Tensor FirstWeight(const Family& model) {
    return model.Parts()[1].module->parameters().front();
  }

  TempDir temp_;
  StableDiffusion model_ = TinyModel();
};

TEST_F(DiffusersDirectoryTest, LoadsWhatWasSaved) {
  const auto loaded = LoadModel(dir());
  EXPECT_EQ(loaded->image_size(), 16);
  EXPECT_EQ(loaded->latent_size(), 8);
  EXPECT_EQ(loaded->digest(), ModelDigest(dir()));
  torch::NoGradGuard no_grad;
  const auto told = model_.Encode({"a dog"}, {16, 16});
  EXPECT_TRUE(torch::equal(loaded->Encode({"a dog"}, {16, 16}).context_NSD, told.context_NSD));
  const auto latents = torch::randn({1, 4, 8, 8});
  const auto t = torch::tensor({500});
  EXPECT_TRUE(torch::equal(loaded->Predict(latents, t, told), model_.Predict(latents, t, told)));
  EXPECT_TRUE(torch::equal(loaded->ToPixels(latents), model_.ToPixels(latents)));
}

TEST_F(DiffusersDirectoryTest, LoadingAndHashingCanBeStoppedOnTheWay) {
  const auto stop_at = [](int number) {
    return [left = number]() mutable {
      if (--left == 0) throw Error(ErrorKind::kCancelled, "stopped");
    };
  };
  for (int number = 1; number <= 3; ++number) {
    EXPECT_THROW(LoadModel(dir(), {.poll = stop_at(number)}), Error) << "before part " << number;
  }
  int files = 0;
  ModelDigest(dir(), [&] { ++files; });
  EXPECT_GE(files, 8) << "before each file";
  SaveModel(temp_.path() / "other", model_, torch::kFloat32);
  EXPECT_THROW(ModelDigest(temp_.path() / "other", stop_at(files)), Error);
  LoadModel(dir());
}

TEST_F(DiffusersDirectoryTest, LoadedParametersAreFrozen) {
  for (const auto& parameter : LoadModel(dir())->Parts()[1].module->parameters()) {
    EXPECT_FALSE(parameter.requires_grad());
  }
}

TEST_F(DiffusersDirectoryTest, SavesAndLoadsHalfPrecision) {
  SaveModel(dir(), model_, torch::kFloat16);
  EXPECT_EQ(SafetensorsFile::Open(unet_file()).Get("conv_in.weight").dtype(), torch::kFloat16);
  const auto loaded = LoadModel(dir(), {.dtype = torch::kBFloat16});
  EXPECT_EQ(FirstWeight(*loaded).dtype(), torch::kBFloat16);
  EXPECT_TRUE(
      torch::allclose(FirstWeight(*loaded).to(torch::kFloat32), FirstWeight(model_), 2e-2, 1e-3));
}

TEST_F(DiffusersDirectoryTest, LoadsAVariantWhereThereIsNothingElse) {
  fs::rename(unet_file(), dir() / "unet" / "diffusion_pytorch_model.fp16.safetensors");
  EXPECT_TRUE(torch::equal(FirstWeight(*LoadModel(dir())), FirstWeight(model_)));
}

TEST_F(DiffusersDirectoryTest, LoadsShardsByTheirIndex) {
  auto tensors = StateDict(*model_.parts().unet);
  fs::remove(unet_file());
  const char* shards[] = {"diffusion_pytorch_model-00001-of-00002.safetensors",
                          "diffusion_pytorch_model-00002-of-00002.safetensors"};
  nlohmann::json weight_map;
  for (size_t i = 0; i < 2; ++i) {
    const std::string name = shards[i];
    const NamedTensors half(tensors.begin() + (i == 0 ? 0 : 7),
                            i == 0 ? tensors.begin() + 7 : tensors.end());
    for (const auto& [key, tensor] : half) weight_map[key] = name;
    WriteSafetensors(dir() / "unet" / name, half);
  }
  const auto index = dir() / "unet" / "diffusion_pytorch_model.safetensors.index.json";
  WriteJsonFile(index, {{"weight_map", weight_map}});
  EXPECT_TRUE(torch::equal(FirstWeight(*LoadModel(dir())), FirstWeight(model_)));

  weight_map["conv_in.bias"] = "../../secret.safetensors";
  WriteJsonFile(index, {{"weight_map", weight_map}});
  ExpectRefused(ErrorKind::kFailedPrecondition, "not a safetensors file beside it");
  fs::remove(dir() / "unet" / "diffusion_pytorch_model-00002-of-00002.safetensors");
  weight_map.erase("conv_in.bias");
  WriteJsonFile(index, {{"weight_map", weight_map}});
  ExpectRefused(ErrorKind::kFailedPrecondition,
                "shard diffusion_pytorch_model-00002-of-00002.safetensors is missing");
}

TEST_F(DiffusersDirectoryTest, RefusesAPickleFile) {
  fs::rename(unet_file(), dir() / "unet" / "diffusion_pytorch_model.bin");
  ExpectRefused(ErrorKind::kFailedPrecondition,
                "unet: diffusion_pytorch_model.bin is a pickle file");
}

TEST_F(DiffusersDirectoryTest, RefusesACutWeightFile) {
  fs::resize_file(unet_file(), fs::file_size(unet_file()) - 100);
  ExpectRefused(ErrorKind::kDataLoss, "diffusion_pytorch_model.safetensors is not a valid");
}

TEST_F(DiffusersDirectoryTest, SaysWhichPartIsMissing) {
  fs::remove(unet_file());
  ExpectRefused(ErrorKind::kFailedPrecondition,
                "unet: diffusion_pytorch_model.safetensors is missing");
  fs::remove(dir() / "vae" / "config.json");
  fs::remove_all(dir() / "unet");
  ExpectRefused(ErrorKind::kFailedPrecondition, "unet/config.json is missing");
  fs::remove(dir() / "model_index.json");
  ExpectRefused(ErrorKind::kFailedPrecondition, "model_index.json is missing");
  fs::remove_all(dir());
  ExpectRefused(ErrorKind::kNotFound, "there is no model directory model");
}

TEST_F(DiffusersDirectoryTest, RefusesOtherKindsOfPipeline) {
  WriteJsonFile(dir() / "model_index.json", {{"_class_name", "FluxPipeline"}});
  ExpectRefused(ErrorKind::kFailedPrecondition, "\"FluxPipeline\" is not supported; allowed: Stab");
}

TEST_F(DiffusersDirectoryTest, RefusesAConfigThatIsNotJson) {
  std::ofstream(dir() / "unet" / "config.json") << "{";
  ExpectRefused(ErrorKind::kDataLoss, "unet/config.json is not valid JSON");
}

TEST_F(DiffusersDirectoryTest, PartsThatDoNotFitTogetherAreRefusedByName) {
  const auto refused = [&](const char* file, const char* setting, const nlohmann::json& value,
                           const std::string& says) {
    const auto whole = ReadJsonFile(dir() / file);
    auto config = whole;
    config[setting] = value;
    WriteJsonFile(dir() / file, config);
    ExpectRefused(ErrorKind::kFailedPrecondition, says);
    WriteJsonFile(dir() / file, whole);
  };
  refused("tokenizer/tokenizer_config.json", "model_max_length", 77,
          "tokenizer: model_max_length is 77 where text_encoder's max_position_embeddings is 12");
  refused("unet/config.json", "cross_attention_dim", 32,
          "unet: cross_attention_dim is 32 where text_encoder's hidden_size is 16");
  refused("unet/config.json", "in_channels", 5,
          "unet: in_channels is 5 where vae's latent_channels is 4");
  refused("unet/config.json", "out_channels", 8,
          "unet: out_channels is 8 where vae's latent_channels is 4");
  refused("tokenizer/vocab.json", "zzz</w>", 54,
          "tokenizer: number of tokens is 55 where text_encoder's vocab_size is 54");
  LoadModel(dir());
}

TEST_F(DiffusersDirectoryTest, ValuesOfTheWrongTypeAreNamedInEveryConfig) {
  const auto refused = [&](const char* file, const nlohmann::json& value, const std::string& says) {
    const auto whole = ReadJsonFile(dir() / file);
    WriteJsonFile(dir() / file, value);
    ExpectRefused(ErrorKind::kFailedPrecondition, says);
    WriteJsonFile(dir() / file, whole);
  };
  refused("model_index.json", {{"_class_name", {"diffusers", "X"}}},
          "model_index.json: setting _cl");
  refused("model_index.json", {{"_class_name", nullptr}}, "model_index.json: setting _class_name");
  refused("model_index.json", nlohmann::json::array({1}), "model_index.json: the config is not a");
  refused("unet/config.json", {{"sample_size", "64"}}, "unet: setting sample_size = \"64\"");
  refused("vae/config.json", {{"scaling_factor", true}}, "vae: setting scaling_factor = true");
  refused("scheduler/scheduler_config.json", {{"beta_end", "x"}}, "scheduler: setting beta_end");
}

TEST_F(DiffusersDirectoryTest, TheSchedulersConfigIsKeptWhenAModelIsSaved) {
  const nlohmann::json own = {
      {"_class_name", "PNDMScheduler"},   {"beta_start", 0.00085},  {"beta_end", 0.012},
      {"beta_schedule", "scaled_linear"}, {"skip_prk_steps", true}, {"steps_offset", 1}};
  WriteJsonFile(dir() / "scheduler/scheduler_config.json", own);
  const auto again = temp_.path() / "again";
  SaveModel(again, *LoadModel(dir()), torch::kFloat32);
  EXPECT_EQ(ReadJsonFile(again / "scheduler/scheduler_config.json"), own);
  EXPECT_EQ(ReadJsonFile(again / "model_index.json")["scheduler"][1], "PNDMScheduler");
}

TEST_F(DiffusersDirectoryTest, AGitLfsPointerIsNamedForWhatItIs) {
  std::ofstream(unet_file(), std::ios::trunc)
      << "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n";
  ExpectRefused(ErrorKind::kDataLoss,
                "diffusion_pytorch_model.safetensors is a Git LFS pointer, not the file itself");
}

// As in a Hugging Face cache, where every file is a link, or where a folder is one.
TEST_F(DiffusersDirectoryTest, SymbolicLinksAreTheFilesThatTheyLeadTo) {
  const auto digest = ModelDigest(dir());
  fs::rename(dir() / "vae", temp_.path() / "vae");
  fs::create_directory_symlink(temp_.path() / "vae", dir() / "vae");
  fs::rename(unet_file(), temp_.path() / "blob");
  fs::create_symlink(temp_.path() / "blob", unet_file());
  fs::create_directory_symlink(dir(), dir() / "vae" / "back");
  EXPECT_EQ(ModelDigest(dir()), digest);
  EXPECT_EQ(LoadModel(dir())->digest(), digest);
}

TEST_F(DiffusersDirectoryTest, ModelsThatDifferInAnyFolderHaveUnlikeDigests) {
  const auto digest = ModelDigest(dir());
  fs::create_directories(dir() / "feature_extractor");
  std::ofstream(dir() / "feature_extractor" / "preprocessor_config.json") << "{}";
  const auto more = ModelDigest(dir());
  EXPECT_NE(more, digest);
  std::ofstream(dir() / "feature_extractor" / "preprocessor_config.json") << "[ ]";
  EXPECT_NE(ModelDigest(dir()), more);
}

TEST_F(DiffusersDirectoryTest, TheDigestIsOfWhatTheModelComputesWith) {
  const auto digest = ModelDigest(dir());
  EXPECT_EQ(digest.size(), 64);
  std::ofstream(dir() / "README.md") << "a card";
  std::ofstream(dir() / "card.json") << "{}";
  EXPECT_EQ(ModelDigest(dir()), digest);
  SaveModel(dir(), model_, torch::kFloat32);
  EXPECT_EQ(ModelDigest(dir()), digest);

  torch::NoGradGuard no_grad;
  model_.parts().unet->parameters().front().view({-1})[0] += 1;
  SaveModel(dir(), model_, torch::kFloat32);
  EXPECT_NE(ModelDigest(dir()), digest);
}

}  // namespace
}  // namespace likeness
