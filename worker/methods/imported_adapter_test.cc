#include "worker/methods/imported_adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "worker/base/error.h"
#include "worker/base/io/safetensors_writer.h"
#include "worker/base/io/temp_dir.h"
#include "worker/exports/embedding_file.h"
#include "worker/exports/hypernetwork_file.h"
#include "worker/families/tiny_model.h"
#include "worker/methods/imported_lora.h"
#include "worker/nn/hookable_layers.h"

namespace likeness {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ImportedAdapterTest : public testing::Test {
 protected:
  std::filesystem::path file() const { return temp_.path() / "file.safetensors"; }
  // For contexts of these widths.
  void WriteHypernetworkFor(const std::vector<int64_t>& widths) {
    Hypernetwork hypernetwork{
        .shape = {.layer_structure = {1, 2, 1}, .activation = "linear", .self_attention = true},
        .pairs = {}};
    for (const int64_t width : widths) {
      HypernetworkPair pair{width, {}, {}};
      for (const auto& [name, sizes] : HypernetworkParameters(hypernetwork.shape, width)) {
        pair.keys.emplace_back(name, torch::ones(sizes));
        pair.values.emplace_back(name, torch::ones(sizes));
      }
      hypernetwork.pairs.push_back(pair);
    }
    WriteHypernetwork(file(), hypernetwork);
  }
  std::string Refusal() {
    try {
      ImportAdapter(model_, file());
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
      return error.what();
    }
    return "none";
  }

  // A LoKr of the first layer whose name ends so, with alpha 1.
  void WriteLokr(const std::string& ending, const NamedTensors& factors) {
    for (const auto& layer : LayersOf(*model_.parts().unet)) {
      if (!layer.name.ends_with(ending)) continue;
      std::string name = "lora_unet_" + layer.name;
      std::replace(name.begin(), name.end(), '.', '_');
      NamedTensors tensors = {{name + ".alpha", torch::ones({})}};
      for (const auto& [factor, value] : factors) tensors.emplace_back(name + "." + factor, value);
      return WriteSafetensors(file(), tensors);
    }
    FAIL() << "the model has no such layer";
  }
  torch::Tensor FirstLokrFactor() {
    const auto read = ReadAnyLora(model_, SafetensorsFile::Open(file()));
    return read.weights.updates.front().factors.at(kLokrFirst);
  }

  TempDir temp_;
  StableDiffusion model_ = TinyModel();
};

TEST_F(ImportedAdapterTest, AHypernetworkForContextsOfOtherWidthsIsRefusedWhenItIsRead) {
  WriteHypernetworkFor({16, 32});
  EXPECT_EQ(ImportAdapter(model_, file()).method, "hypernetwork");
  WriteHypernetworkFor({16, 24});
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("width 24"), HasSubstr("have 16, 32")));
}

TEST_F(ImportedAdapterTest, AWordOfOtherTextEncodersIsRefusedWithBothWidths) {
  WriteEmbedding(file(), {"zw", {torch::ones({1, 16})}});
  EXPECT_EQ(ImportAdapter(model_, file()).word, "zw");
  WriteEmbedding(file(), {"zw", {torch::ones({1, 17})}});
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("width 17"), HasSubstr("read 16")));
  WriteEmbedding(file(), {"zw", {torch::ones({1, 16}), torch::ones({1, 20})}});
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("width 16 and 20"), HasSubstr("read 16")));
}

TEST_F(ImportedAdapterTest, MagnitudesOfInputsAreRefusedByTheirKey) {
  for (const Part& part : model_.Parts()) {
    if (part.role != Role::kDenoiser) continue;
    for (const auto& layer : LayersOf(*part.module)) {
      if (!layer.name.ends_with("attn1.to_q")) continue;
      const int64_t side = layer.weight.size(0);
      ASSERT_EQ(layer.weight.size(1), side);
      const auto write = [&](const torch::Tensor& magnitude) {
        std::string name = "lora_unet_" + layer.name;
        std::replace(name.begin(), name.end(), '.', '_');
        WriteSafetensors(file(), {{name + ".lora_down.weight", torch::ones({2, side})},
                                  {name + ".lora_up.weight", torch::ones({side, 2})},
                                  {name + ".dora_scale", magnitude}});
      };
      write(torch::ones({side, 1}));  // LyCORIS with wd_on_out, and this service
      EXPECT_EQ(ImportAdapter(model_, file()).method, "lora");
      write(torch::ones({1, side}));
      EXPECT_THAT(Refusal(), AllOf(HasSubstr("attn1_to_q.dora_scale"), HasSubstr("each input")));
      return;
    }
  }
  FAIL() << "the model has no such layer";
}

TEST_F(ImportedAdapterTest, UpdatesWithoutARankOrAScaleAreRefusedByTheirKey) {
  for (const Part& part : model_.Parts()) {
    if (part.role != Role::kDenoiser) continue;
    for (const auto& layer : LayersOf(*part.module)) {
      if (!layer.name.ends_with("attn1.to_q")) continue;
      const std::string name = "unet." + layer.name;
      const auto write = [&](int64_t rank, const std::string& alpha) {
        WriteSafetensors(
            file(),
            {{name + ".lora_A.weight", torch::ones({rank, layer.weight.size(1)})},
             {name + ".lora_B.weight", torch::ones({layer.weight.size(0), rank})}},
            {{"lora_adapter_metadata", "{\"unet.lora_alpha\":" + alpha + ",\"unet.r\":2}"}});
      };
      write(2, "3");
      EXPECT_EQ(ImportAdapter(model_, file()).method, "lora");
      write(0, "3");
      EXPECT_THAT(Refusal(), HasSubstr(name + ".lora_A.weight holds no numbers"));
      for (const char* alpha : {"0", "1e300", "-1e300"}) {
        write(2, alpha);
        EXPECT_THAT(Refusal(), HasSubstr("unet.lora_alpha in its metadata is ")) << alpha;
      }
      return;
    }
  }
  FAIL() << "the model has no such layer";
}

TEST_F(ImportedAdapterTest, AlphaCountsWhereTheFirstFactorOfALokrAloneIsAProduct) {
  const auto w1_a = torch::ones({4, 2}), w1_b = torch::ones({2, 4});  // of a layer of 16 x 16
  WriteLokr("attn1.to_q",
            {{"lokr_w1_a", w1_a}, {"lokr_w1_b", w1_b}, {"lokr_w2", torch::ones({4, 4})}});
  // 2, times an alpha of 1 by a rank of 2.
  EXPECT_TRUE(torch::equal(FirstLokrFactor(), torch::ones({4, 4})));
  EXPECT_EQ(ImportAdapter(model_, file()).variant, "lokr");

  // Where the second is a product, too, alpha is the update's.
  WriteLokr("attn1.to_q",
            {{"lokr_w1_a", w1_a}, {"lokr_w1_b", w1_b}, {"lokr_w2_a", w1_a}, {"lokr_w2_b", w1_b}});
  EXPECT_TRUE(torch::equal(FirstLokrFactor(), torch::full({4, 4}, 2.0)));
  const auto read = ReadAnyLora(model_, SafetensorsFile::Open(file()));
  EXPECT_EQ(read.weights.ScaleOf(read.weights.updates.front()), 0.5);
}

TEST_F(ImportedAdapterTest, FactorsOfALokrThatMakeNoUpdateAreRefused) {
  WriteLokr("attn1.to_q", {{"lokr_w1_a", torch::ones({4, 2})},
                           {"lokr_w1_b", torch::ones({3, 4})},
                           {"lokr_w2", torch::ones({4, 4})}});
  EXPECT_THAT(Refusal(), HasSubstr("attn1_to_q.lokr_w1_a and lokr_w1_b are no factors"));
  // As many inputs as the convolution's 16 times 9, in parts that are no channels.
  WriteLokr("conv1", {{"lokr_w1", torch::ones({4, 9})},
                      {"lokr_w2_a", torch::ones({4, 2})},
                      {"lokr_w2_b", torch::ones({2, 16})}});
  EXPECT_THAT(Refusal(), HasSubstr("does not fit the layer unet/"));
}

TEST_F(ImportedAdapterTest, WeightsOfCustomDiffusionAreALayoutThatIsNotKnown) {
  const std::string key = "down_blocks.0.attn2.processor.to_k_custom_diffusion.weight";
  WriteSafetensors(file(), {{key, torch::ones({4, 4})}, {key + "s", torch::ones({4, 4})}});
  EXPECT_THAT(Refusal(), HasSubstr("key " + key + " is of no layout that is known"));
}

}  // namespace
}  // namespace likeness
