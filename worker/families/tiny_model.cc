#include "worker/families/tiny_model.h"

#include "worker/tokenizers/tiny_tokenizer.h"

namespace likeness {

StableDiffusion TinyModel() {
  constexpr int kTokens = 12;
  auto tokenizer = TinyTokenizer(kTokens);
  const ClipTextOptions text{.vocab_size = tokenizer.vocab_size(),
                             .hidden_size = 16,
                             .intermediate_size = 32,
                             .num_hidden_layers = 2,
                             .num_attention_heads = 2,
                             .max_position_embeddings = kTokens,
                             .bos_token_id = tokenizer.bos_id(),
                             .eos_token_id = tokenizer.eos_id(),
                             .pad_token_id = tokenizer.pad_id()};
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

}  // namespace likeness
