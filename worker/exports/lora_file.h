// LoRA updates (Hu et al., arXiv 2106.09685) as files of their own.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "worker/base/io/safetensors.h"

namespace likeness {

// Of one layer: W x becomes W x + scale up (down x).
struct LoraUpdate {
  std::string part;    // "unet", "text_encoder", "text_encoder_2"
  std::string layer;   // within the part: "down_blocks.0.attentions.0.proj_in"
  torch::Tensor down;  // [rank, in], of a convolution [rank, in, k, k]
  torch::Tensor up;    // [out, rank], of a convolution [out, rank, 1, 1]
};

struct LoraScale {
  int64_t rank = 0;
  double alpha = 0;
  bool rank_stabilized = false;  // rsLoRA, Kalajdzievski 2312.03732

  double value() const;  // alpha / rank, or alpha / sqrt(rank)
};

struct LoraWeights {
  LoraScale scale;
  std::vector<LoraUpdate> updates;
  // Layers that have updates, as peft names them, by part: "to_q".
  std::map<std::string, std::vector<std::string>> targets;
};

// What kohya's names depend on.
struct KohyaModel {
  bool xl = false;
  int64_t layers_per_block = 2;  // of the UNet
  std::string version;           // "sd_v1", "sd_v2", "sd_v2_v", "sdxl_base_v1-0"
};

// As diffusers' load_lora_weights reads it, with its "lora_adapter_metadata".
inline constexpr const char* kDiffusersLoraFile = "pytorch_lora_weights.safetensors";
void WriteDiffusersLora(const std::filesystem::path& file, const LoraWeights& weights);
// What WriteDiffusersLora wrote, its tensors in the file's own dtype. Errors: those of
// SafetensorsFile::Open; kFailedPrecondition for what is no such file, naming the key.
LoraWeights ReadDiffusersLora(const std::filesystem::path& file);

// As kohya's sd-scripts write it, which A1111, Forge and ComfyUI read: the true alpha in each layer
// (of rsLoRA alpha times the root of the rank), `ss_` metadata, and for XL the names of the
// original model's blocks.
inline constexpr const char* kKohyaLoraFile = "kohya_lora.safetensors";
void WriteKohyaLora(const std::filesystem::path& file, const LoraWeights& weights,
                    const KohyaModel& model);

// A layer of a diffusers UNet as the original Stable Diffusion code names it:
// "down_blocks.1.attentions.0.proj_in" is "input_blocks.4.1.proj_in". Other names stay.
std::string OriginalUnetName(const std::string& layer, int64_t layers_per_block);

}  // namespace likeness
