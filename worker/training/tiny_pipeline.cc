#include "worker/training/tiny_pipeline.h"

#include <algorithm>

#include "worker/tokenizers/vocabulary_trainer.h"

namespace likeness {

Pipeline TinyPipeline() {
  torch::manual_seed(1);
  const ClipTokenizer tokenizer = TrainVocabulary({"a", "red", "sks", "dog", "cat"}, 6);
  ClipTextOptions text;
  text.vocab_size = tokenizer.vocab_size();
  text.hidden_size = 32;
  text.intermediate_size = 64;
  text.num_hidden_layers = 2;
  text.num_attention_heads = 2;
  text.max_position_embeddings = 6;
  text.bos_token_id = tokenizer.bos_id();
  text.eos_token_id = tokenizer.eos_id();
  text.pad_token_id = tokenizer.pad_id();
  UNet2DConditionOptions unet;
  unet.sample_size = 16;
  unet.block_out_channels = {32, 64};
  unet.down_block_types = {"CrossAttnDownBlock2D", "DownBlock2D"};
  unet.up_block_types = {"UpBlock2D", "CrossAttnUpBlock2D"};
  unet.layers_per_block = 1;
  unet.cross_attention_dim = 32;
  unet.attention_head_dim = {4};
  AutoencoderKlOptions vae;
  vae.block_out_channels = {16, 32};
  vae.layers_per_block = 1;
  vae.norm_num_groups = 8;
  vae.sample_size = 32;
  Pipeline pipeline{.tokenizer = tokenizer,
                    .text_encoder = ClipTextModel(text),
                    .unet = UNet2DCondition(unet),
                    .vae = AutoencoderKl(vae)};
  for (torch::nn::Module* module : std::initializer_list<torch::nn::Module*>{
           pipeline.text_encoder.get(), pipeline.unet.get(), pipeline.vae.get()}) {
    for (torch::Tensor& parameter : module->parameters()) parameter.requires_grad_(false);
    module->eval();
  }
  return pipeline;
}

Image TestImage(int number, int size) {
  Image image{size, size, {}};
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      image.rgb.push_back(static_cast<uint8_t>(60 * (number % 4)));
      image.rgb.push_back(static_cast<uint8_t>((x / (2 + number)) % 2 * 255));
      image.rgb.push_back(static_cast<uint8_t>(y * 255 / size));
    }
  }
  return image;
}

void RecordingHost::Report(const Progress& report) { progress.push_back(report); }

void RecordingHost::SaveCheckpoint(int64_t step,
                                   const std::function<void(const std::filesystem::path&)>& write) {
  write(dir_ / "checkpoint.safetensors");
  checkpoints.push_back(step);
}

std::optional<std::filesystem::path> RecordingHost::LatestCheckpoint() {
  const auto file = dir_ / "checkpoint.safetensors";
  return std::filesystem::exists(file) ? std::optional(file) : std::nullopt;
}

int64_t RecordingHost::steps_done() const { return CountPhase("train"); }

int64_t RecordingHost::CountPhase(const std::string& phase) const {
  return std::count_if(progress.begin(), progress.end(),
                       [&](const Progress& report) { return report.phase == phase; });
}

}  // namespace likeness
