#include "worker/checkpoints/pipeline.h"

#include <gtest/gtest.h>

#include <fstream>

#include "worker/base/error.h"
#include "worker/base/io/json_file.h"
#include "worker/base/io/temp_dir.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/checkpoints/tiny_pipeline.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

class PipelineTest : public testing::Test {
 protected:
  PipelineTest() { SavePipeline(dir(), pipeline_, torch::kFloat32); }
  fs::path dir() const { return temp_.path() / "model"; }
  fs::path unet_file() const { return dir() / "unet" / "diffusion_pytorch_model.safetensors"; }

  void ExpectRefused(ErrorKind kind, const std::string& says) {
    try {
      LoadPipeline(dir());
      ADD_FAILURE() << "loaded; expected: " << says;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
      EXPECT_EQ(std::string(error.what()).find(temp_.path().string()), std::string::npos);
    }
  }
  static torch::Tensor FirstWeight(const Pipeline& pipeline) {
    return pipeline.unet->parameters().front();
  }

  TempDir temp_;
  Pipeline pipeline_ = TinyPipeline();
};

TEST_F(PipelineTest, LoadsWhatWasSaved) {
  auto loaded = LoadPipeline(dir());
  EXPECT_EQ(loaded.image_size(), 16);
  EXPECT_EQ(loaded.latent_size(), 8);
  EXPECT_EQ(loaded.digest, ModelDigest(dir()));
  torch::NoGradGuard no_grad;
  auto ids = torch::tensor(pipeline_.tokenizer.EncodePadded("a dog")).unsqueeze(0);
  auto context = pipeline_.text_encoder->Forward(ids);
  EXPECT_TRUE(torch::equal(loaded.text_encoder->Forward(ids), context));
  auto latents = torch::randn({1, 4, 8, 8});
  auto t = torch::tensor({500});
  EXPECT_TRUE(torch::equal(loaded.unet->Forward(latents, t, context),
                           pipeline_.unet->Forward(latents, t, context)));
  EXPECT_TRUE(torch::equal(loaded.vae->Decode(latents), pipeline_.vae->Decode(latents)));
}

TEST_F(PipelineTest, LoadedParametersAreFrozen) {
  for (const auto& parameter : LoadPipeline(dir()).unet->parameters()) {
    EXPECT_FALSE(parameter.requires_grad());
  }
}

TEST_F(PipelineTest, SavesAndLoadsHalfPrecision) {
  SavePipeline(dir(), pipeline_, torch::kFloat16);
  EXPECT_EQ(SafetensorsFile::Open(unet_file()).Get("conv_in.weight").dtype(), torch::kFloat16);
  auto loaded = LoadPipeline(dir(), {.dtype = torch::kBFloat16});
  EXPECT_EQ(FirstWeight(loaded).dtype(), torch::kBFloat16);
  EXPECT_TRUE(
      torch::allclose(FirstWeight(loaded).to(torch::kFloat32), FirstWeight(pipeline_), 2e-2, 1e-3));
}

TEST_F(PipelineTest, LoadsAVariantWhereThereIsNothingElse) {
  fs::rename(unet_file(), dir() / "unet" / "diffusion_pytorch_model.fp16.safetensors");
  EXPECT_TRUE(torch::equal(FirstWeight(LoadPipeline(dir())), FirstWeight(pipeline_)));
}

TEST_F(PipelineTest, LoadsShardsByTheirIndex) {
  auto tensors = StateDict(*pipeline_.unet);
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
  EXPECT_TRUE(torch::equal(FirstWeight(LoadPipeline(dir())), FirstWeight(pipeline_)));

  weight_map["conv_in.bias"] = "../../secret.safetensors";
  WriteJsonFile(index, {{"weight_map", weight_map}});
  ExpectRefused(ErrorKind::kFailedPrecondition, "not a safetensors file beside it");
  fs::remove(dir() / "unet" / "diffusion_pytorch_model-00002-of-00002.safetensors");
  weight_map.erase("conv_in.bias");
  WriteJsonFile(index, {{"weight_map", weight_map}});
  ExpectRefused(ErrorKind::kFailedPrecondition,
                "shard diffusion_pytorch_model-00002-of-00002.safetensors is missing");
}

TEST_F(PipelineTest, RefusesAPickleFile) {
  fs::rename(unet_file(), dir() / "unet" / "diffusion_pytorch_model.bin");
  ExpectRefused(ErrorKind::kFailedPrecondition,
                "unet: diffusion_pytorch_model.bin is a pickle file");
}

TEST_F(PipelineTest, RefusesACutWeightFile) {
  fs::resize_file(unet_file(), fs::file_size(unet_file()) - 100);
  ExpectRefused(ErrorKind::kDataLoss, "diffusion_pytorch_model.safetensors is not a valid");
}

TEST_F(PipelineTest, SaysWhichPartIsMissing) {
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

TEST_F(PipelineTest, RefusesOtherKindsOfPipeline) {
  WriteJsonFile(dir() / "model_index.json", {{"_class_name", "StableDiffusionXLPipeline"}});
  ExpectRefused(ErrorKind::kFailedPrecondition, "StableDiffusionXLPipeline");
}

TEST_F(PipelineTest, RefusesAConfigThatIsNotJson) {
  std::ofstream(dir() / "unet" / "config.json") << "{";
  ExpectRefused(ErrorKind::kDataLoss, "unet/config.json is not valid JSON");
}

TEST_F(PipelineTest, PartsThatDoNotFitTogetherAreRefusedByName) {
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
  refused("unet/config.json", "in_channels", 9,
          "unet: in_channels is 9 where vae's latent_channels is 4");
  refused("unet/config.json", "out_channels", 8,
          "unet: out_channels is 8 where its in_channels is");
  refused("tokenizer/vocab.json", "zzz</w>", 54,
          "tokenizer: number of tokens is 55 where text_encoder's vocab_size is 54");
  LoadPipeline(dir());
}

TEST_F(PipelineTest, ValuesOfTheWrongTypeAreNamedInEveryConfig) {
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

TEST_F(PipelineTest, TheSchedulersConfigIsKeptWhenAModelIsSaved) {
  const nlohmann::json own = {
      {"_class_name", "PNDMScheduler"},   {"beta_start", 0.00085},  {"beta_end", 0.012},
      {"beta_schedule", "scaled_linear"}, {"skip_prk_steps", true}, {"steps_offset", 1}};
  WriteJsonFile(dir() / "scheduler/scheduler_config.json", own);
  const auto again = temp_.path() / "again";
  SavePipeline(again, LoadPipeline(dir()), torch::kFloat32);
  EXPECT_EQ(ReadJsonFile(again / "scheduler/scheduler_config.json"), own);
  EXPECT_EQ(ReadJsonFile(again / "model_index.json")["scheduler"][1], "PNDMScheduler");
}

TEST_F(PipelineTest, AGitLfsPointerIsNamedForWhatItIs) {
  std::ofstream(unet_file(), std::ios::trunc)
      << "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n";
  ExpectRefused(ErrorKind::kDataLoss,
                "diffusion_pytorch_model.safetensors is a Git LFS pointer, not the file itself");
}

// As in a Hugging Face cache, where every file is a link, or where a folder is one.
TEST_F(PipelineTest, SymbolicLinksAreTheFilesThatTheyLeadTo) {
  const auto digest = ModelDigest(dir());
  fs::rename(dir() / "vae", temp_.path() / "vae");
  fs::create_directory_symlink(temp_.path() / "vae", dir() / "vae");
  fs::rename(unet_file(), temp_.path() / "blob");
  fs::create_symlink(temp_.path() / "blob", unet_file());
  fs::create_directory_symlink(dir(), dir() / "vae" / "back");
  EXPECT_EQ(ModelDigest(dir()), digest);
  EXPECT_EQ(LoadPipeline(dir()).digest, digest);
}

TEST_F(PipelineTest, ModelsThatDifferInAnyFolderHaveUnlikeDigests) {
  const auto digest = ModelDigest(dir());
  fs::create_directories(dir() / "feature_extractor");
  std::ofstream(dir() / "feature_extractor" / "preprocessor_config.json") << "{}";
  const auto more = ModelDigest(dir());
  EXPECT_NE(more, digest);
  std::ofstream(dir() / "feature_extractor" / "preprocessor_config.json") << "[ ]";
  EXPECT_NE(ModelDigest(dir()), more);
}

TEST_F(PipelineTest, TheDigestIsOfWhatTheModelComputesWith) {
  const auto digest = ModelDigest(dir());
  EXPECT_EQ(digest.size(), 64);
  std::ofstream(dir() / "README.md") << "a card";
  std::ofstream(dir() / "card.json") << "{}";
  EXPECT_EQ(ModelDigest(dir()), digest);
  SavePipeline(dir(), pipeline_, torch::kFloat32);
  EXPECT_EQ(ModelDigest(dir()), digest);

  torch::NoGradGuard no_grad;
  pipeline_.unet->parameters().front().view({-1})[0] += 1;
  SavePipeline(dir(), pipeline_, torch::kFloat32);
  EXPECT_NE(ModelDigest(dir()), digest);
}

}  // namespace
}  // namespace likeness
