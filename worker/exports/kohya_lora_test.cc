#include <gtest/gtest.h>

#include "worker/exports/lora_file.h"

namespace likeness {
namespace {

// As sd-scripts' convert_sdxl_unet_state_dict_to_diffusers maps them, the other way round.
TEST(KohyaLoraTest, BlocksOfXlHaveTheirOriginalNames) {
  const char* const names[][2] = {
      {"down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
       "input_blocks.4.1.transformer_blocks.0.attn1.to_q"},
      {"down_blocks.2.attentions.1.proj_in", "input_blocks.8.1.proj_in"},
      {"down_blocks.0.resnets.1.conv1", "input_blocks.2.0.in_layers.2"},
      {"down_blocks.0.downsamplers.0.conv", "input_blocks.3.0.op"},
      {"mid_block.attentions.0.proj_out", "middle_block.1.proj_out"},
      {"mid_block.resnets.1.time_emb_proj", "middle_block.2.emb_layers.1"},
      {"up_blocks.0.attentions.2.proj_in", "output_blocks.2.1.proj_in"},
      {"up_blocks.1.attentions.0.proj_in", "output_blocks.3.1.proj_in"},
      {"up_blocks.2.resnets.2.conv_shortcut", "output_blocks.8.0.skip_connection"},
      {"up_blocks.1.upsamplers.0.conv", "output_blocks.5.2.conv"},
      {"conv_in", "input_blocks.0.0"},
      {"conv_out", "out.2"},
      {"time_embedding.linear_2", "time_embed.2"},
      {"add_embedding.linear_1", "label_emb.0.0"},
      {"other", "other"},
  };
  for (const auto& [ours, original] : names) EXPECT_EQ(OriginalUnetName(ours, 2), original);
}

}  // namespace
}  // namespace likeness
