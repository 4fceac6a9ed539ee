#include "common/whole_model.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace likeness {
namespace {

using ::testing::StartsWith;

TEST(WholeModelTest, ACheckpointInOneFileIsToldWithWhatToDoInstead) {
  EXPECT_EQ(WholeModelError(R"({"__metadata__":{"merged":"lora"},
                                "model.diffusion_model.input_blocks.0.0.bias":{"dtype":"F16"}})"),
            "holds a whole model, not an adapter: its keys begin with model.diffusion_model.; a "
            "whole model is not imported: put the file into the models directory of a worker, "
            "which then offers it as a base model");
}

TEST(WholeModelTest, PartsOfADiffusersDirectoryAreTold) {
  for (const char* key : {"down_blocks.0.resnets.0.conv1.bias", "encoder.down_blocks.0.conv.bias",
                          "text_model.encoder.layers.0.mlp.fc1.bias"}) {
    EXPECT_THAT(WholeModelError("{\"" + std::string(key) + "\":{}}"),
                StartsWith("holds a part of a whole model, not an adapter"))
        << key;
  }
}

TEST(WholeModelTest, AdaptersOfEveryLayoutAreNone) {
  for (const char* key : {"unet.down_blocks.0.attentions.0.to_q.lora_A.weight",
                          "down_blocks.0.attentions.0.to_q.lora_A.weight",
                          "down_blocks.0.attentions.0.to_q.hada_w1_a",
                          "text_model.encoder.layers.0.self_attn.q_proj.lokr_w1",
                          "base_model.model.down_blocks.0.attentions.0.to_q.lora_A.weight",
                          "down_blocks.0.attentions.0.transformer_blocks.0.attn2.processor."
                          "to_k_custom_diffusion.weight",
                          "lora_unet_down_blocks_0_attentions_0_to_q.lora_down.weight",
                          "diffusion_model.input_blocks.1.1.to_q.lora_A.weight", "emb_params",
                          "<cat>", "768.k.0.weight"}) {
    EXPECT_EQ(WholeModelError("{\"" + std::string(key) + "\":{}}"), "") << key;
  }
}

}  // namespace
}  // namespace likeness
