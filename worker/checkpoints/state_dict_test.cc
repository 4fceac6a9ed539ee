#include "worker/checkpoints/state_dict.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/models/clip_text.h"
#include "worker/models/vae.h"

namespace likeness {
namespace {

AutoencoderKl TinyVae() {
  return AutoencoderKl(AutoencoderKlOptions{
      .block_out_channels = {8, 8}, .layers_per_block = 1, .norm_num_groups = 4, .sample_size = 8});
}

class StateDictTest : public testing::Test {
 protected:
  SafetensorsFile Stored(const NamedTensors& tensors) {
    const auto path = dir_.path() / (std::to_string(files_++) + ".safetensors");
    WriteSafetensors(path, tensors);
    return SafetensorsFile::Open(path);
  }
  void ExpectRefused(const std::vector<SafetensorsFile>& files, const std::string& says) {
    auto vae = TinyVae();
    auto before = vae->parameters().front().clone();
    try {
      LoadStateDict(*vae, files, "vae");
      ADD_FAILURE() << "loaded; expected: " << says;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
      EXPECT_EQ(error.what(), says);
    }
    EXPECT_TRUE(torch::equal(vae->parameters().front(), before));
  }

  // Every parameter has the value that is stored under its name, or under `stored_name` of it.
  static void ExpectHolds(
      const torch::nn::Module& module, const NamedTensors& stored,
      const std::function<std::string(std::string)>& stored_name = [](auto n) { return n; }) {
    std::map<std::string, torch::Tensor> values(stored.begin(), stored.end());
    for (const auto& [name, value] : StateDict(module)) {
      const auto found = values.find(stored_name(name));
      ASSERT_NE(found, values.end()) << name;
      EXPECT_TRUE(torch::equal(value, found->second.to(value.dtype()))) << name;
    }
  }

  TempDir dir_;
  int files_ = 0;
};

TEST_F(StateDictTest, LoadingGivesWhatWasStored) {
  auto vae = TinyVae(), other = TinyVae();
  LoadStateDict(*other, Stored(StateDict(*vae)), "vae");
  auto parameters = other->named_parameters();
  for (const auto& item : vae->named_parameters()) {
    EXPECT_TRUE(torch::equal(item.value(), parameters[item.key()])) << item.key();
  }
}

TEST_F(StateDictTest, LoadsOtherPrecisionsIntoTheModulesOwn) {
  auto vae = TinyVae(), other = TinyVae();
  auto halves = StateDict(*vae);
  for (auto& [name, tensor] : halves) tensor = tensor.to(torch::kFloat16);
  LoadStateDict(*other, Stored(halves), "vae");
  EXPECT_EQ(other->parameters().front().dtype(), torch::kFloat32);
  ExpectHolds(*other, halves);
}

TEST_F(StateDictTest, ALoadedModuleTrains) {
  auto vae = TinyVae();
  LoadStateDict(*vae, Stored(StateDict(*vae)), "vae");
  vae->Decode(torch::randn({1, 4, 2, 2})).sum().backward();
  auto bias = vae->named_parameters()["decoder.conv_out.bias"];
  torch::NoGradGuard no_grad;
  bias.sub_(bias.grad());
  EXPECT_TRUE(bias.grad().defined());
}

TEST_F(StateDictTest, LoadsShards) {
  auto all = StateDict(*TinyVae());
  const NamedTensors first(all.begin(), all.begin() + 5), rest(all.begin() + 5, all.end());
  auto vae = TinyVae();
  LoadStateDict(*vae, {Stored(first), Stored(rest)}, "vae");
  ExpectHolds(*vae, all);
}

TEST_F(StateDictTest, RefusesAMissingKey) {
  auto tensors = StateDict(*TinyVae());
  tensors.erase(tensors.begin());
  ExpectRefused({Stored(tensors)}, "vae: 1 key is missing: encoder.conv_in.weight");
}

TEST_F(StateDictTest, RefusesManyMissingKeysShortly) {
  auto tensors = StateDict(*TinyVae());
  tensors.erase(tensors.begin(), tensors.begin() + 4);
  ExpectRefused({Stored(tensors)},
                "vae: 4 keys are missing: encoder.conv_in.weight, encoder.conv_in.bias, "
                "encoder.down_blocks.0.resnets.0.norm1.weight, ...");
}

TEST_F(StateDictTest, RefusesAnExtraKey) {
  auto tensors = StateDict(*TinyVae());
  tensors.emplace_back("encoder.extra.weight", torch::ones(1));
  ExpectRefused({Stored(tensors)}, "vae: 1 key is not part of the model: encoder.extra.weight");
}

TEST_F(StateDictTest, RefusesAWrongShape) {
  auto tensors = StateDict(*TinyVae());
  tensors.front().second = torch::ones({8, 3, 1, 1});
  ExpectRefused({Stored(tensors)},
                "vae: key encoder.conv_in.weight has shape [8, 3, 1, 1] where the config asks for "
                "[8, 3, 3, 3]");
}

TEST_F(StateDictTest, RefusesAKeyThatIsInTwoShards) {
  const auto tensors = StateDict(*TinyVae());
  ExpectRefused({Stored(tensors), Stored({tensors.front()})},
                "vae: key encoder.conv_in.weight is there twice");
}

TEST_F(StateDictTest, UnderstandsTheAutoencodersOldAttentionNames) {
  const auto old_name = [](std::string name) {
    const std::pair<std::string, std::string> renames[] = {
        {"to_q", "query"}, {"to_k", "key"}, {"to_v", "value"}, {"to_out.0", "proj_attn"}};
    for (const auto& [today, old] : renames) {
      if (const auto at = name.find(today); at != std::string::npos) {
        name.replace(at, today.size(), old);
      }
    }
    return name;
  };
  auto tensors = StateDict(*TinyVae());
  for (auto& [name, tensor] : tensors) {
    name = old_name(name);
    tensor = torch::randn_like(tensor);  // fresh biases are all zero
  }
  auto vae = TinyVae();
  LoadStateDict(*vae, Stored(tensors), "vae");
  ExpectHolds(*vae, tensors, old_name);
}

TEST_F(StateDictTest, UnderstandsTextEncodersWithoutPrefixAndWithPositionIds) {
  const ClipTextOptions options{.vocab_size = 9,
                                .hidden_size = 4,
                                .intermediate_size = 8,
                                .num_hidden_layers = 1,
                                .num_attention_heads = 2,
                                .max_position_embeddings = 5};
  auto tensors = StateDict(*ClipTextModel(options));
  const auto short_name = [](const std::string& name) {
    return name.substr(std::string("text_model.").size());
  };
  for (auto& [name, tensor] : tensors) {
    name = short_name(name);
    tensor = torch::randn_like(tensor);
  }
  tensors.emplace_back("embeddings.position_ids", torch::arange(5).unsqueeze(0));
  ClipTextModel model(options);
  LoadStateDict(*model, Stored(tensors), "text_encoder");
  ExpectHolds(*model, tensors, short_name);
}

}  // namespace
}  // namespace likeness
