// likeness-tiny-model DIR [EVALUATORS [SIGLIP]]: writes a model with all parts of a real one and
// random weights, small enough that a whole job takes a second, and below EVALUATORS networks that
// judge its pictures. 64 x 64 pictures.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>

#include "worker/evaluation/tiny_evaluators.h"
#include "worker/evaluation/tiny_siglip.h"
#include "worker/families/diffusers_directory.h"
#include "worker/families/stable_diffusion.h"
#include "worker/tokenizers/vocabulary_trainer.h"

namespace likeness {
namespace {

constexpr int kTokens = 16;

StableDiffusion TinyModel() {
  torch::manual_seed(1);
  const auto tokenizer = TrainVocabulary(
      {"a", "in", "the", "snow", "on", "beach", "dog", "cat", "red", "photo", "sks", "zwx"},
      kTokens);
  ClipTextOptions text;
  text.vocab_size = tokenizer.vocab_size();
  text.hidden_size = 32;
  text.intermediate_size = 64;
  text.num_hidden_layers = 1;
  text.num_attention_heads = 2;
  text.max_position_embeddings = kTokens;
  text = WithTokensOf(tokenizer, text);
  UNet2DConditionOptions unet;
  unet.sample_size = 8;
  unet.block_out_channels = {32, 64};
  unet.down_block_types = {"CrossAttnDownBlock2D", "DownBlock2D"};
  unet.up_block_types = {"UpBlock2D", "CrossAttnUpBlock2D"};
  unet.layers_per_block = 1;
  unet.cross_attention_dim = text.hidden_size;
  unet.attention_head_dim = {4};
  AutoencoderKlOptions vae;
  vae.block_out_channels = {8, 8, 16, 16};
  vae.layers_per_block = 1;
  vae.norm_num_groups = 8;
  vae.sample_size = 64;
  return StableDiffusion({.tokenizer = tokenizer,
                          .text_encoder = ClipTextModel(text),
                          .unet = UNet2DCondition(unet),
                          .vae = AutoencoderKl(vae)},
                         NoiseSchedule());
}

constexpr char kDefaults[] = R"({
  "fine_tune": {
    "subjects": [{"token": "zwx"}],
    "training": {"steps": 4, "learningRate": 1e-3},
    "prior": {"classImages": 2, "samplingSteps": 2},
    "samples": {"steps": 3}
  },
  "generate": {"steps": 3}
}
)";

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    std::fprintf(stderr, "Usage: likeness-tiny-model DIR [EVALUATORS [SIGLIP]]\n");
    return 2;
  }
  try {
    const std::filesystem::path directory = argv[1];
    likeness::SaveModel(directory, likeness::TinyModel(), torch::kFloat32);
    std::ofstream(directory / "likeness_defaults.json") << likeness::kDefaults;
    if (argc > 2) likeness::WriteTinyEvaluators(argv[2]);
    if (argc > 3) likeness::WriteTinySiglip(argv[3]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "likeness-tiny-model: %s\n", error.what());
    return 1;
  }
}
