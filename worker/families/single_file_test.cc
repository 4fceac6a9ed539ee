#include "worker/families/single_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "worker/base/error.h"
#include "worker/base/io/json_file.h"
#include "worker/base/io/temp_dir.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/families/diffusers_directory.h"
#include "worker/families/tiny_model.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using Tensors = std::map<std::string, torch::Tensor>;

class SingleFileTest : public testing::Test {
 protected:
  void SetUp() override { Save(4); }
  void Save(int64_t in_channels) {
    SaveModel(dir(), TinyModelForASingleFile(in_channels), torch::kFloat32);
    fs::remove_all(files());
    fs::create_directories(files());
    fs::copy(dir() / "tokenizer", files() / "tokenizer");
    ExportSingleFile(dir(), file());
  }
  fs::path dir() const { return temp_.path() / "model"; }
  fs::path files() const { return temp_.path() / "files"; }
  fs::path file() const { return files() / "one.safetensors"; }
  fs::path out() const { return temp_.path() / "out"; }

  static Tensors Read(const fs::path& path) {
    const auto file = SafetensorsFile::Open(path);
    Tensors tensors;
    for (const auto& name : file.Names()) tensors[name] = file.Get(name).clone();
    return tensors;
  }
  void Rewrite(const Tensors& tensors, const std::map<std::string, std::string>& metadata = {}) {
    WriteSafetensors(file(), NamedTensors(tensors.begin(), tensors.end()), metadata);
  }
  void ExpectSameWeights() {
    for (const char* weights :
         {"unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors",
          "text_encoder/model.safetensors"}) {
      const auto before = Read(dir() / weights), after = Read(out() / weights);
      ASSERT_EQ(before.size(), after.size()) << weights;
      for (const auto& [name, tensor] : before) {
        ASSERT_TRUE(after.contains(name)) << name;
        EXPECT_TRUE(torch::equal(after.at(name), tensor)) << name;
      }
    }
  }
  void ExpectRefused(ErrorKind kind, const std::string& says) {
    try {
      ImportSingleFile(file(), out());
      ADD_FAILURE() << "imported; expected: " << says;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
    }
    EXPECT_FALSE(fs::exists(out()));
  }

  TempDir temp_;
};

TEST_F(SingleFileTest, WhatIsExportedAndImportedIsTheSameModel) {
  for (const int64_t channels : {4, 9}) {
    Save(channels);
    fs::remove_all(out());
    ImportSingleFile(file(), out());
    ExpectSameWeights();
    for (const char* config :
         {"unet/config.json", "vae/config.json", "text_encoder/config.json", "model_index.json"}) {
      auto before = ReadJsonFile(dir() / config), after = ReadJsonFile(out() / config);
      before.erase("scheduler"), after.erase("scheduler");  // as published: PNDM
      EXPECT_EQ(before, after) << config;
    }
    const auto model = LoadModel(out());
    EXPECT_EQ(model->fills_masks(), channels == 9);
    EXPECT_EQ(model->image_size(), 512);
  }
}

TEST_F(SingleFileTest, TheAutoencodersAttentionIsConvolutionsThere) {
  const auto tensors = Read(file());
  EXPECT_EQ(tensors.at("first_stage_model.encoder.mid.attn_1.q.weight").sizes(),
            (std::vector<int64_t>{64, 64, 1, 1}));
  EXPECT_TRUE(tensors.contains("model.diffusion_model.output_blocks.2.1.conv.weight"))
      << "of a level without attention";
  EXPECT_TRUE(tensors.contains("model.diffusion_model.output_blocks.5.2.conv.weight"))
      << "of a level with it";
}

TEST_F(SingleFileTest, WhatIsNoPartOfTheModelIsLeftOut) {
  auto tensors = Read(file());
  tensors["model_ema.diffusion_modelout2bias"] = torch::zeros({4});
  tensors["betas"] = torch::zeros({1000});
  tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] =
      torch::arange(12).view({1, 12});
  Rewrite(tensors);
  ImportSingleFile(file(), out());
  ExpectSameWeights();
}

TEST_F(SingleFileTest, TensorsKeepTheirDtypesOrTakeTheOneAskedFor) {
  auto tensors = Read(file());
  for (auto& [name, tensor] : tensors) {
    if (name.starts_with("model.")) tensor = tensor.to(torch::kFloat16);
  }
  Rewrite(tensors);
  ImportSingleFile(file(), out());
  const auto dtype_of = [](const fs::path& path, const char* name) {
    return Read(path).at(name).scalar_type();
  };
  EXPECT_EQ(dtype_of(out() / "unet/diffusion_pytorch_model.safetensors", "conv_in.weight"),
            torch::kFloat16);
  EXPECT_EQ(
      dtype_of(out() / "text_encoder/model.safetensors", "text_model.final_layer_norm.weight"),
      torch::kFloat32);
  ExportSingleFile(out(), file(), torch::kBFloat16);
  for (const auto& [name, tensor] : Read(file())) EXPECT_EQ(tensor.dtype(), torch::kBFloat16);
}

TEST_F(SingleFileTest, WhatAModelPredictsIsSaidByTheFileOrTheCaller) {
  const auto predicted = [&](const ImportOptions& options = {}) {
    fs::remove_all(out());
    ImportSingleFile(file(), out(), options);
    return ReadJsonFile(out() / "scheduler/scheduler_config.json")["prediction_type"]
        .get<std::string>();
  };
  EXPECT_EQ(predicted(), "epsilon");
  EXPECT_EQ(predicted({.prediction_type = PredictionType::kV}), "v_prediction");
  auto tensors = Read(file());
  Rewrite(tensors, {{"modelspec.prediction_type", "v"}});
  EXPECT_EQ(predicted(), "v_prediction");
  tensors["v_pred"] = tensors["ztsnr"] = torch::empty({0});
  Rewrite(tensors);
  EXPECT_EQ(predicted(), "v_prediction");
  EXPECT_TRUE(LoadModel(out())->schedule().options().rescale_betas_zero_snr);
  ExportSingleFile(out(), file());
  EXPECT_EQ(predicted(), "v_prediction") << "kept on the way";
  EXPECT_TRUE(LoadModel(out())->schedule().options().rescale_betas_zero_snr);
}

TEST_F(SingleFileTest, OtherFilesAreRefusedForWhatTheyLack) {
  const auto whole = Read(file());
  const auto without = [&](const std::string& prefix) {
    auto tensors = whole;
    std::erase_if(tensors, [&](const auto& entry) { return entry.first.starts_with(prefix); });
    Rewrite(tensors);
  };
  without("model.");
  ExpectRefused(ErrorKind::kFailedPrecondition, "no key that begins with model.diffusion_model.");
  without("first_stage_model.");
  ExpectRefused(ErrorKind::kFailedPrecondition, "holds no autoencoder");
  without("cond_stage_model.");
  ExpectRefused(ErrorKind::kFailedPrecondition, "holds no text encoder");
  without("model.diffusion_model.out.2.weight");
  ExpectRefused(ErrorKind::kFailedPrecondition, "unet: key model.diffusion_model.out.2.weight is");
  auto tensors = whole;
  tensors["model.diffusion_model.adapter.weight"] = torch::zeros({1});
  Rewrite(tensors);
  ExpectRefused(ErrorKind::kFailedPrecondition,
                "unet: key model.diffusion_model.adapter.weight is");
  tensors = whole;
  tensors["conditioner.embedders.0.model.text_projection"] = torch::zeros({4, 4});
  Rewrite(tensors);
  ExpectRefused(ErrorKind::kFailedPrecondition, "refiner");
  std::ofstream(file()) << "<html>";
  ExpectRefused(ErrorKind::kDataLoss, "a web page");
}

TEST_F(SingleFileTest, AFileWithoutAVocabularyBesideItSaysWhatIsNeeded) {
  fs::remove_all(files() / "tokenizer");
  ExpectRefused(ErrorKind::kNotFound, "a folder tokenizer with CLIP's vocab.json and merges.txt");
}

}  // namespace
}  // namespace likeness
