#include "worker/families/tiny_model.h"

#include "worker/tokenizers/tiny_tokenizer.h"

namespace likeness {

StableDiffusion TinyModel() {
  constexpr int kTokens = 12;
  auto tokenizer = TinyTokenizer(kTokens);
  const auto text = WithTokensOf(tokenizer, {.vocab_size = tokenizer.vocab_size(),
                                             .hidden_size = 16,
                                             .intermediate_size = 32,
                                             .num_hidden_layers = 2,
                                             .num_attention_heads = 2,
                                             .max_position_embeddings = kTokens});
  const UNet2DConditionOptions unet{.sample_size = 8,
                                    .block_out_channels = {16, 32},
                                    .down_block_types = {"CrossAttnDownBlock2D", "DownBlock2D"},
                                    .up_block_types = {"UpBlock2D", "CrossAttnUpBlock2D"},
                                    .layers_per_block = 1,
                                    .cross_attention_dim = text.hidden_size,
                                    .attention_head_dim = {2},
                                    .norm_num_groups = 8};
  const AutoencoderKlOptions vae{.block_out_channels = {8, 16},
                                 .layers_per_block = 1,
                                 .norm_num_groups = 4,
                                 .sample_size = 16};
  return StableDiffusion({.tokenizer = tokenizer,
                          .text_encoder = ClipTextModel(text),
                          .unet = UNet2DCondition(unet),
                          .vae = AutoencoderKl(vae)},
                         NoiseSchedule());
}

StableDiffusion TinyModelForASingleFile(int64_t in_channels) {
  const auto tiny = TinyModel();
  const auto& tokenizer = tiny.tokenizer();
  auto text = tiny.parts().text_encoder->options();
  text.hidden_size = 64;
  text.num_attention_heads = 1;
  text.projection_dim = 64;
  const UNet2DConditionOptions unet{
      .sample_size = 64,
      .in_channels = in_channels,
      .block_out_channels = {32, 64, 64},
      .down_block_types = {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"},
      .up_block_types = {"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"},
      .layers_per_block = 2,
      .cross_attention_dim = 64};
  const AutoencoderKlOptions vae{.block_out_channels = {32, 64, 64, 64}, .layers_per_block = 1};
  return StableDiffusion({.tokenizer = tokenizer,
                          .text_encoder = ClipTextModel(text),
                          .unet = UNet2DCondition(unet),
                          .vae = AutoencoderKl(vae)},
                         NoiseSchedule());
}

}  // namespace likeness
