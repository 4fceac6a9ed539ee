#include "worker/methods/merged_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/safetensors.h"
#include "worker/base/io/temp_dir.h"
#include "worker/families/diffusers_directory.h"
#include "worker/families/single_file.h"
#include "worker/families/tiny_model.h"
#include "worker/methods/extracted_lora.h"
#include "worker/methods/lora.h"
#include "worker/methods/lora_directory.h"
#include "worker/methods/lora_variants.h"
#include "worker/methods/textual_inversion.h"
#include "worker/nn/hookable_layers.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

class MergedModelTest : public testing::Test {
 protected:
  MergedModelTest() {
    torch::manual_seed(1);
    SaveModel(base(), TinyModel(), torch::kFloat32);
    model_ = LoadModel(base());
  }
  fs::path base() const { return temp_.path() / "base"; }
  fs::path out() const { return temp_.path() / "out"; }
  static nlohmann::json ReadJson(const fs::path& file) {
    std::ifstream stream(file);
    return nlohmann::json::parse(stream);
  }
  // Changes of `rank` of all attention layers of the denoiser.
  MergedAdapters Changes(int64_t rank) {
    torch::NoGradGuard no_grad;
    MergedAdapters changes;
    for (const Part& part : model_->Parts()) {
      if (part.role != Role::kDenoiser) continue;
      for (const auto& layer : LayersOf(*part.module)) {
        if (!IsTarget(layer.name, {"to_q", "to_out.0", "conv1"})) continue;
        const int64_t out = layer.weight.size(0);
        const auto change =
            torch::mm(torch::randn({out, rank}), torch::randn({rank, layer.weight.numel() / out})) *
            0.1;
        changes.Add(part.name + "/" + layer.name, change.view(layer.weight.sizes()));
      }
    }
    return changes;
  }
  static std::string RefusalOf(const std::function<void()>& act) {
    try {
      act();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  TempDir temp_;
  std::unique_ptr<Family> model_;
};

TEST_F(MergedModelTest, ADirectoryIsReadBackAsItWasMerged) {
  for (const bool float16 : {false, true}) {
    fs::remove_all(out());
    const auto parts = Merge(*model_, Changes(2));
    WriteMergedModel(base(), parts, {}, float16, {{"format", 1}}, out());
    CheckReadBack(parts, float16, ReadMergedModel(out(), parts));
    const auto loaded = LoadModel(out());
    std::map<std::string, NamedTensors> weights;
    for (const MergedPart& part : parts) weights[part.part.name] = part.weights;
    EXPECT_LT(
        RelativeDifference(OnePass(*loaded, "a dog"), OnePassWith(*model_, weights, {}, "a dog")),
        float16 ? 2e-2 : 1e-6);
  }
}

TEST_F(MergedModelTest, TheBaseStaysAsItWas) {
  const auto digest = LoadModel(base());
  const auto before = OnePass(*digest, "a dog");
  MergedAdapters merged = Changes(1);
  const auto config = nlohmann::json::parse(model_->Parts().front().config);
  merged.words.push_back({"zw", {torch::randn({2, config["hidden_size"].get<int64_t>()})}});
  WriteMergedModel(base(), Merge(*model_, merged), merged.words, false, {{"format", 1}}, out());
  EXPECT_TRUE(torch::equal(OnePass(*LoadModel(base()), "a dog"), before));
}

TEST_F(MergedModelTest, WordsBecomeTokensBehindTheVocabulary) {
  const auto config = nlohmann::json::parse(model_->Parts().front().config);
  const auto rows_KD = torch::randn({2, config["hidden_size"].get<int64_t>()});
  MergedAdapters merged;
  merged.words.push_back({"zw", {rows_KD}});
  const auto parts = Merge(*model_, merged);
  WriteMergedModel(base(), parts, merged.words, false, {{"format", 1}}, out());
  const int64_t size = model_->tokenizer().vocab_size();
  EXPECT_EQ(ReadJson(out() / "text_encoder/config.json")["vocab_size"], size + 2);
  const auto added = ReadJson(out() / "tokenizer/tokenizer_config.json")["added_tokens_decoder"];
  EXPECT_EQ(added[std::to_string(size)]["content"], "zw");
  EXPECT_EQ(added[std::to_string(size + 1)]["content"], "zw_1");
  const auto read = ReadMergedModel(out(), parts);
  for (const auto& [name, table] : read.at("text_encoder")) {
    if (!name.ends_with("token_embedding.weight")) continue;
    EXPECT_TRUE(torch::equal(table.slice(0, size), rows_KD));
  }
}

// An old configuration means the last token by 2, which is the word's now.
TEST_F(MergedModelTest, TheEndOfATextIsWrittenWhereAnOldConfigurationHasNone) {
  const auto tiny = TinyModel();
  auto text = tiny.parts().text_encoder->options();
  text.eos_token_id = 2;
  SaveModel(base(),
            StableDiffusion({.tokenizer = tiny.tokenizer(),
                             .text_encoder = ClipTextModel(text),
                             .unet = tiny.parts().unet,
                             .vae = tiny.parts().vae},
                            NoiseSchedule()),
            torch::kFloat32);
  model_ = LoadModel(base());
  MergedAdapters merged;
  WriteMergedModel(base(), Merge(*model_, merged), {}, false, {{"format", 1}}, out());
  EXPECT_EQ(ReadJson(out() / "text_encoder/config.json")["eos_token_id"], 2) << "nothing is added";
  fs::remove_all(out());
  merged.words.push_back({"zw", {torch::randn({2, text.hidden_size})}});
  WriteMergedModel(base(), Merge(*model_, merged), merged.words, false, {{"format", 1}}, out());
  EXPECT_EQ(ReadJson(out() / "text_encoder/config.json")["eos_token_id"],
            tiny.tokenizer().eos_id());
}

TEST_F(MergedModelTest, WordsWhoseTokensWouldBeReadAsOneWordAreRefused) {
  const auto config = nlohmann::json::parse(model_->Parts().front().config);
  const auto rows = [&](int64_t vectors) {
    return std::vector{torch::randn({vectors, config["hidden_size"].get<int64_t>()})};
  };
  const auto refusal = [&](const std::string& other) {
    MergedAdapters merged;
    merged.words = {{"zw", rows(2)}, {other, rows(1)}};
    return RefusalOf([&] {
      WriteMergedModel(base(), Merge(*model_, merged), merged.words, false, {{"format", 1}}, out());
    });
  };
  EXPECT_THAT(refusal("zw_1"), testing::HasSubstr("\"zw\" and \"zw_1\""));
  EXPECT_THAT(refusal("zw_2"), testing::HasSubstr("zw_2"));
  EXPECT_FALSE(fs::exists(out()));
  EXPECT_EQ(refusal("zw_3"), "");
}

// Also of a base whose text encoder has more rows than the tokenizer has tokens.
TEST_F(MergedModelTest, ADirectoryWithWordsIsAModelThatKnowsThem) {
  for (const int64_t padding : {0, 1, 64}) {
    const auto tiny = TinyModel();
    auto text = tiny.parts().text_encoder->options();
    text.vocab_size += padding;
    SaveModel(base(),
              StableDiffusion({.tokenizer = tiny.tokenizer(),
                               .text_encoder = ClipTextModel(text),
                               .unet = tiny.parts().unet,
                               .vae = tiny.parts().vae},
                              NoiseSchedule()),
              torch::kFloat32);
    model_ = LoadModel(base());
    const auto learned = [&](Family& model, const std::string& word, int64_t vectors,
                             const fs::path& from, const fs::path& to) {
      fs::remove_all(to);
      MergedAdapters merged;
      merged.words.push_back({word, {torch::randn({vectors, text.hidden_size})}});
      WriteMergedModel(from, Merge(model, merged), merged.words, false, {{"format", 1}}, to);
      const auto spoken = SpeakWord(model, merged.words.front());
      return OnePass(model, "a zw by qq");
    };
    const auto with_one = learned(*model_, "zw", 2, base(), out());
    const auto one = LoadModel(out());
    EXPECT_TRUE(torch::equal(OnePass(*one, "a zw by qq"), with_one)) << padding;
    const auto with_both = learned(*one, "qq", 1, out(), temp_.path() / "both");
    EXPECT_FALSE(torch::equal(with_both, with_one));
    const auto both = LoadModel(temp_.path() / "both");
    EXPECT_TRUE(torch::equal(OnePass(*both, "a zw by qq"), with_both)) << padding;
  }
}

TEST_F(MergedModelTest, WhatIsNotReadBackAsWrittenIsNamed) {
  const auto parts = Merge(*model_, Changes(1));
  WriteMergedModel(base(), parts, {}, false, {{"format", 1}}, out());
  auto read = ReadMergedModel(out(), parts);
  auto& [name, tensor] = read.at("unet").front();
  tensor = tensor + 1e-3;
  EXPECT_EQ(RefusalOf([&] { CheckReadBack(parts, false, read); }),
            "the model was written wrong: unet/" + name + " is not read back as it was written");
  read.at("unet").erase(read.at("unet").begin());
  EXPECT_NE(RefusalOf([&] { CheckReadBack(parts, false, read); }).find("is missing"),
            std::string::npos);
}

TEST_F(MergedModelTest, ASingleFileIsReadBackAsItWasMerged) {
  SaveModel(temp_.path() / "single", TinyModelForASingleFile(4), torch::kFloat32);
  model_ = LoadModel(temp_.path() / "single");
  const auto parts = Merge(*model_, Changes(1));
  WriteMergedModel(temp_.path() / "single", parts, {}, false, {{"format", 1}}, out());
  const fs::path file = temp_.path() / "one.safetensors";
  ExportSingleFile(out(), file, torch::kFloat16);
  CheckReadBack(parts, /*float16=*/true, ReadSingleFile(file, out()));
}

TEST_F(MergedModelTest, ALoraOfTheWholeRankIsTheDifference) {
  const auto parts = Merge(*model_, Changes(3));
  const auto difference = DifferenceFrom(base(), parts);
  const auto extracted = ExtractLora(difference, {.rank = 3}, [](int64_t, int64_t) {});
  EXPECT_LT(extracted.relative_error, 1e-5);
  fs::create_directories(out());
  WriteLoraWeights(*model_, extracted.weights, torch::kFloat32, out());
  std::map<std::string, NamedTensors> weights;
  for (const MergedPart& part : parts) weights[part.part.name] = part.weights;
  const auto whole = OnePassWith(*model_, weights, {}, "a dog");
  const auto applied = ApplyLora(*model_, out(), 1);
  EXPECT_LT(RelativeDifference(OnePass(*model_, "a dog"), whole), 1e-4);
}

// Eckart and Young: what is left is what the singular values beyond the rank hold.
TEST_F(MergedModelTest, ALoraOfALowerRankLeavesTheSmallestPossibleError) {
  const auto difference = DifferenceFrom(base(), Merge(*model_, Changes(4)));
  double left = 0, all = 0;
  for (const auto& [name, change] : difference.layers) {
    const auto values = torch::linalg_svdvals(change.flatten(1).to(torch::kFloat64)).square();
    left += values.slice(0, 2).sum().item<double>();
    all += values.sum().item<double>();
  }
  const auto extracted = ExtractLora(difference, {.rank = 2}, [](int64_t, int64_t) {});
  EXPECT_NEAR(extracted.relative_error, std::sqrt(left / all), 1e-4);
}

// Each layer by itself: one value fewer would keep less than the share.
TEST_F(MergedModelTest, WithAnEnergyEachLayerGetsTheLeastRankThatKeepsIt) {
  constexpr double kEnergy = 0.7;
  auto difference = DifferenceFrom(base(), Merge(*model_, Changes(4)));
  // One that a single direction makes up, so that ranks differ.
  auto& first = difference.layers.begin()->second;
  first = torch::ones_like(first);
  const auto extracted =
      ExtractLora(difference, {.rank = 256, .energy = kEnergy}, [](int64_t, int64_t) {});
  double left = 0, all = 0;
  std::set<int64_t> ranks;
  for (const LoraUpdate& update : extracted.weights.updates) {
    SCOPED_TRACE(update.layer);
    const auto change = difference.layers.at(update.part + "/" + update.layer).flatten(1);
    const auto squares = torch::linalg_svdvals(change.to(torch::kFloat64)).square();
    const double sum = squares.sum().item<double>();
    const int64_t rank = update.Rank();
    EXPECT_GE(squares.slice(0, 0, rank).sum().item<double>(), (kEnergy - 1e-6) * sum);
    EXPECT_LT(squares.slice(0, 0, rank - 1).sum().item<double>(), kEnergy * sum);
    const auto product = LowRankProduct(update.factors) * extracted.weights.ScaleOf(update);
    const double apart = (product - change).square().sum().item<double>();
    EXPECT_NEAR(apart / sum, squares.slice(0, rank).sum().item<double>() / sum, 1e-4);
    left += apart;
    all += sum;
    ranks.insert(rank);
  }
  EXPECT_EQ(*ranks.begin(), 1);
  EXPECT_GT(ranks.size(), 1u);
  EXPECT_EQ(*ranks.rbegin(), extracted.weights.scale.rank);
  EXPECT_NEAR(extracted.energy, 1 - left / all, 1e-4);
  EXPECT_EQ(extracted.layers_below_energy, 0);

  const auto bounded =
      ExtractLora(difference, {.rank = 1, .energy = kEnergy}, [](int64_t, int64_t) {});
  for (const LoraUpdate& update : bounded.weights.updates) EXPECT_EQ(update.Rank(), 1);
  EXPECT_LT(bounded.energy, extracted.energy);
  EXPECT_EQ(bounded.layers_below_energy,
            std::count_if(extracted.weights.updates.begin(), extracted.weights.updates.end(),
                          [](const LoraUpdate& update) { return update.Rank() > 1; }));
}

// What WriteLoraWeights reads back is compared there; here, what the files say.
TEST_F(MergedModelTest, FilesOfALoraWithRanksOfItsLayersSayThem) {
  auto difference = DifferenceFrom(base(), Merge(*model_, Changes(4)));
  difference.layers.begin()->second.fill_(0.05);
  const auto extracted =
      ExtractLora(difference, {.rank = 256, .energy = 0.7}, [](int64_t, int64_t) {});
  const LoraWeights& weights = extracted.weights;
  fs::create_directories(out());
  WriteLoraWeights(*model_, weights, torch::kFloat32, out());
  const auto diffusers = SafetensorsFile::Open(out() / kDiffusersLoraFile);
  const auto kohya = SafetensorsFile::Open(out() / kKohyaLoraFile);
  const auto said = nlohmann::json::parse(diffusers.metadata().at("lora_adapter_metadata"));
  for (const LoraUpdate& update : weights.updates) {
    SCOPED_TRACE(update.layer);
    const auto ranks = said.value(update.part + ".rank_pattern", nlohmann::json::object());
    EXPECT_EQ(ranks.value(PeftTarget(update.layer), weights.scale.rank), update.Rank());
    EXPECT_EQ(said.at(update.part + ".lora_alpha"), weights.scale.alpha);
    const std::string name = KohyaName(update.part, update.layer, KohyaModelOf(*model_));
    EXPECT_EQ(kohya.Shape(name + ".lora_down.weight").at(0), update.Rank());
    EXPECT_FLOAT_EQ(kohya.Get(name + ".alpha").item<float>(),
                    static_cast<float>(weights.scale.alpha));
  }
  std::map<std::string, NamedTensors> wanted;
  for (const auto& part : Merge(*model_, AsChanges(weights, difference))) {
    if (part.changed) wanted[part.part.name] = part.weights;
  }
  const auto merged = OnePassWith(*model_, wanted, {}, "a dog");
  const auto applied = ApplyLora(*model_, out(), 1);
  EXPECT_LT(RelativeDifference(OnePass(*model_, "a dog"), merged), 1e-4);
}

TEST_F(MergedModelTest, ALoraOfNoDifferenceIsRefused) {
  const auto difference = DifferenceFrom(base(), Merge(*model_, {}));
  EXPECT_THROW(ExtractLora(difference, {.rank = 4}, [](int64_t, int64_t) {}), Error);
}

}  // namespace
}  // namespace likeness
