// LoRA updates (Hu et al., arXiv 2106.09685) as files of their own.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "worker/base/io/safetensors.h"

namespace likeness {

// Names of factors: peft's of LoRA and DoRA, LyCORIS' of LoHa (hada_w1_a, ...) and LoKr. What they
// make is said in worker/methods/lora_variants.h.
inline constexpr const char* kLoraDown = "lora_A.weight";  // [rank, in], or [rank, in, k, k]
inline constexpr const char* kLoraUp = "lora_B.weight";    // [out, rank], or [out, rank, 1, 1]
inline constexpr const char* kDoraMagnitude = "lora_magnitude_vector";  // [out], or [1, out, 1, 1]
inline constexpr const char* kLokrFirst = "lokr_w1";
inline constexpr const char* kLokrSecond = "lokr_w2";

using LoraFactors = std::map<std::string, torch::Tensor>;

// 0 of LoKr's whole factors, which have none.
int64_t RankOf(const LoraFactors& factors);

// Of one layer. With the factors of LoRA W x becomes W x + scale up (down x).
struct LoraUpdate {
  std::string part;   // "unet", "text_encoder", "text_encoder_2"
  std::string layer;  // within the part: "down_blocks.0.attentions.0.proj_in"
  LoraFactors factors;

  int64_t Rank() const { return RankOf(factors); }
};

struct LoraScale {
  int64_t rank = 0;
  double alpha = 0;
  bool rank_stabilized = false;  // rsLoRA, Kalajdzievski 2312.03732

  double value() const;  // alpha / rank, or alpha / sqrt(rank)
};

struct LoraWeights {
  // Of all updates, but that those of LoRA and DoRA may have lower ranks: alpha is the same, as
  // with peft's rank_pattern. diffusers reads no other alphas right in kohya's files.
  LoraScale scale;
  // T-LoRA: the ranks that act at the noisiest timestep, of updates of denoisers; empty: all.
  std::optional<int64_t> min_rank = {};
  std::vector<LoraUpdate> updates;
  // Layers that have updates, as peft names them, by part: "to_q".
  std::map<std::string, std::vector<std::string>> targets;

  double ScaleOf(const LoraUpdate& update) const;
};

// A single layer among `targets`: text encoders of newer transformers have their layers without
// "text_model." before them, which peft's comparison by the end of a name then finds in both.
std::string PeftTarget(const std::string& layer);

// What kohya's names depend on.
struct KohyaModel {
  bool xl = false;
  int64_t layers_per_block = 2;  // of the UNet
  std::string version;           // "sd_v1", "sd_v2", "sd_v2_v", "sdxl_base_v1-0"
};

// As diffusers' load_lora_weights reads it, with its "lora_adapter_metadata": updates of another
// rank than the scale's are in its rank_pattern.
inline constexpr const char* kDiffusersLoraFile = "pytorch_lora_weights.safetensors";
void WriteDiffusersLora(const std::filesystem::path& file, const LoraWeights& weights);
// The same of T-LoRA under a name of its own: who reads neither its name nor "unet.min_rank" in its
// "lora_adapter_metadata", which diffusers refuses, would draw with all ranks at every timestep.
inline constexpr const char* kTLoraFile = "t_lora.safetensors";
// What the metadata says; empty where it says nothing. Error: kFailedPrecondition for what is no
// number from 1.
std::optional<int64_t> ReadMinRank(const SafetensorsFile& file);
// What WriteDiffusersLora wrote of LoRA and DoRA, its tensors in the file's own dtype. Errors:
// those of SafetensorsFile::Open; kFailedPrecondition for what is no such file, naming the key.
LoraWeights ReadDiffusersLora(const std::filesystem::path& file);

// As kohya's sd-scripts write it, and LyCORIS for LoHa and LoKr, which A1111, Forge and ComfyUI
// read: the true alpha in each layer (of rsLoRA alpha times the root of its rank), `ss_` metadata,
// and for XL the names of the original model's blocks.
inline constexpr const char* kKohyaLoraFile = "kohya_lora.safetensors";
inline constexpr const char* kLycorisFile = "lycoris.safetensors";
void WriteKohyaLora(const std::filesystem::path& file, const LoraWeights& weights,
                    const KohyaModel& model);
// A layer's name there: "lora_unet_down_blocks_0_attentions_0_proj_in".
std::string KohyaName(const std::string& part, const std::string& layer, const KohyaModel& model);
// What WriteKohyaLora wrote of LoHa and LoKr. `layers`: part and layer by KohyaName. Errors as
// ReadDiffusersLora's.
LoraWeights ReadLycoris(const std::filesystem::path& file,
                        const std::map<std::string, std::pair<std::string, std::string>>& layers);

// A layer of a diffusers UNet as the original Stable Diffusion code names it:
// "down_blocks.1.attentions.0.proj_in" is "input_blocks.4.1.proj_in". Other names stay.
std::string OriginalUnetName(const std::string& layer, int64_t layers_per_block);

}  // namespace likeness
