// Names as in kohya-ss/sd-scripts, networks/lora.py and library/sdxl_model_util.py.
#include <algorithm>
#include <array>
#include <cmath>
#include <regex>
#include <string_view>

#include "common/number_text.h"
#include "worker/base/error.h"
#include "worker/exports/lora_file.h"

namespace likeness {
namespace {

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// Within a residual block; the original counts its layers.
std::string OriginalResnetName(std::string name) {
  constexpr std::array<std::array<std::string_view, 2>, 4> kNames = {
      {{"conv1", "in_layers.2"},
       {"conv2", "out_layers.3"},
       {"time_emb_proj", "emb_layers.1"},
       {"conv_shortcut", "skip_connection"}}};
  for (const auto& [ours, theirs] : kNames) name = Replaced(std::move(name), ours, theirs);
  return name;
}

std::string OriginalNameOutsideBlocks(const std::string& layer) {
  constexpr std::array<std::array<std::string_view, 2>, 6> kNames = {
      {{"conv_in", "input_blocks.0.0"},
       {"conv_out", "out.2"},
       {"time_embedding.linear_1", "time_embed.0"},
       {"time_embedding.linear_2", "time_embed.2"},
       {"add_embedding.linear_1", "label_emb.0.0"},
       {"add_embedding.linear_2", "label_emb.0.2"}}};
  for (const auto& [ours, theirs] : kNames) {
    if (layer == ours) return std::string(theirs);
  }
  return layer;
}

std::string KohyaPrefix(const std::string& part, bool xl) {
  if (part == "unet") return "lora_unet_";
  if (!xl) return "lora_te_";
  return part == "text_encoder" ? "lora_te1_" : "lora_te2_";
}

// As kohya names what peft names otherwise.
std::pair<std::string, torch::Tensor> KohyaFactor(const std::string& name,
                                                  const torch::Tensor& value) {
  if (name == kLoraDown) return {"lora_down.weight", value};
  if (name == kLoraUp) return {"lora_up.weight", value};
  if (name != kDoraMagnitude) return {name, value};
  // The norm of each output, as ComfyUI tells from the first size.
  return {"dora_scale", value.dim() == 4 ? value.view({-1, 1, 1, 1}) : value.view({-1, 1})};
}

constexpr const char* kAlpha = "alpha";

[[noreturn]] void RefuseLycoris(const std::string& why) {
  throw Error(ErrorKind::kFailedPrecondition, std::string(kLycorisFile) + ": " + why);
}

}  // namespace

std::string OriginalUnetName(const std::string& layer, int64_t layers_per_block) {
  static const std::regex kBlock(
      R"((down|up)_blocks\.(\d+)\.(attentions|resnets|downsamplers|upsamplers)\.(\d+)\.(.*))");
  static const std::regex kMiddle(R"(mid_block\.(attentions|resnets)\.(\d+)\.(.*))");
  const auto text = [](int64_t number) { return std::to_string(number); };
  std::smatch match;
  if (std::regex_match(layer, match, kMiddle)) {
    const int64_t number = std::stoll(match[2]);
    if (match[1] == "attentions") return "middle_block.1." + match[3].str();
    return "middle_block." + text(2 * number) + "." + OriginalResnetName(match[3]);
  }
  if (!std::regex_match(layer, match, kBlock)) return OriginalNameOutsideBlocks(layer);
  const int64_t block = std::stoll(match[2]), number = std::stoll(match[4]);
  const std::string kind = match[3], rest = match[5];
  const int64_t each = layers_per_block + 1;
  if (match[1] == "down") {
    if (kind == "downsamplers") return "input_blocks." + text(each * (block + 1)) + ".0.op";
    const std::string place = "input_blocks." + text(each * block + number + 1);
    return kind == "attentions" ? place + ".1." + rest : place + ".0." + OriginalResnetName(rest);
  }
  if (kind == "upsamplers") {
    // Behind the attention of the block's last layer: all blocks of XL that scale up have some.
    return "output_blocks." + text(each * block + layers_per_block) + ".2." + rest;
  }
  const std::string place = "output_blocks." + text(each * block + number);
  return kind == "attentions" ? place + ".1." + rest : place + ".0." + OriginalResnetName(rest);
}

std::string KohyaName(const std::string& part, const std::string& layer, const KohyaModel& model) {
  const bool renamed = model.xl && part == "unet";
  std::string name = renamed ? OriginalUnetName(layer, model.layers_per_block) : layer;
  std::replace(name.begin(), name.end(), '.', '_');
  return KohyaPrefix(part, model.xl) + name;
}

void WriteKohyaLora(const std::filesystem::path& file, const LoraWeights& weights,
                    const KohyaModel& model) {
  const LoraScale& scale = weights.scale;
  const double alpha = scale.value() * static_cast<double>(scale.rank);
  NamedTensors tensors;
  bool lycoris = false;
  for (const LoraUpdate& update : weights.updates) {
    const std::string layer = KohyaName(update.part, update.layer, model);
    for (const auto& [factor, value] : update.factors) {
      auto [name, tensor] = KohyaFactor(factor, value);
      lycoris = lycoris || name == factor;
      tensors.emplace_back(layer + "." + name, std::move(tensor));
    }
    const int64_t rank = update.Rank() > 0 ? update.Rank() : scale.rank;
    const double own_alpha = weights.ScaleOf(update) * static_cast<double>(rank);
    tensors.emplace_back(layer + "." + kAlpha, torch::full({}, own_alpha, torch::kFloat32));
  }
  WriteSafetensors(file, tensors,
                   {{"format", "pt"},
                    {"ss_network_module", lycoris ? "lycoris.kohya" : "networks.lora"},
                    {"ss_network_dim", std::to_string(scale.rank)},
                    {"ss_network_alpha", NumberText(alpha)},
                    {"ss_base_model_version", model.version}});
}

LoraWeights ReadLycoris(const std::filesystem::path& path,
                        const std::map<std::string, std::pair<std::string, std::string>>& layers) {
  const SafetensorsFile file = SafetensorsFile::Open(path);
  std::map<std::string, LoraFactors> updates;
  LoraWeights weights{.scale = {.rank = 1, .alpha = 1}, .updates = {}, .targets = {}};
  for (const std::string& key : file.Names()) {
    const size_t point = key.find('.');
    const std::string layer = key.substr(0, point);
    if (point == std::string::npos || !layers.contains(layer)) {
      RefuseLycoris("key " + key + " is of no layer of this model");
    }
    const torch::Tensor value = file.Get(key);
    if (key.substr(point + 1) == kAlpha && value.numel() == 1) {
      weights.scale.alpha = value.item<double>();
    } else if (value.is_floating_point()) {
      updates[layer][key.substr(point + 1)] = value;
    }
  }
  if (updates.empty()) RefuseLycoris("has no updates");
  for (auto& [layer, factors] : updates) {
    if (const int64_t rank = RankOf(factors); rank > 0) weights.scale.rank = rank;
    const auto& [part, name] = layers.at(layer);
    weights.updates.push_back({part, name, std::move(factors)});
  }
  return weights;
}

}  // namespace likeness
