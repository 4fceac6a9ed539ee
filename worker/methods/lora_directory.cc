#include "worker/methods/lora_directory.h"

#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/exports/model_directory.h"
#include "worker/methods/imported_lora.h"
#include "worker/nn/hookable_layers.h"

namespace likeness {
namespace {

LoraWeights InSavedDtype(LoraWeights weights, torch::ScalarType dtype) {
  if (dtype == torch::kFloat8_e4m3fn) return weights;  // InFloat8's
  for (LoraUpdate& update : weights.updates) {
    for (auto& [name, factor] : update.factors) {
      // Magnitudes are few, and an error of one is an error of a whole row of the layer's weight.
      const auto saved = name == kDoraMagnitude ? torch::kFloat32 : dtype;
      factor = InDtype({{TrainedName(update, name), factor}}, saved)[0].second.cpu();
    }
  }
  return weights;
}

// All layers that may have an update, by what kohya calls them.
std::map<std::string, std::pair<std::string, std::string>> KohyaLayers(const Family& model) {
  const KohyaModel kohya = KohyaModelOf(model);
  std::map<std::string, std::pair<std::string, std::string>> layers;
  for (const Part& part : model.Parts()) {
    if (part.role == Role::kAutoencoder) continue;
    for (const auto& layer : LayersOf(*part.module)) {
      layers[KohyaName(part.name, layer.name, kohya)] = {part.name, layer.name};
    }
  }
  return layers;
}

// LibTorch compares no 8-bit floats, and imports read them in float32, which holds them exactly.
bool Equal(const torch::Tensor& read, const torch::Tensor& written) {
  if (written.scalar_type() != torch::kFloat8_e4m3fn) return torch::equal(read, written);
  return torch::equal(read.to(torch::kFloat32), written.to(torch::kFloat32));
}

// What tools will read is what was meant to be written.
void CheckWritten(const LoraWeights& written, const LoraWeights& read) {
  const auto name = [](const LoraUpdate& update) { return update.part + "/" + update.layer; };
  std::map<std::string, const LoraUpdate*> by_name;
  bool ranked = false;  // a scale is read where there is a rank
  for (const auto& update : read.updates) {
    by_name[name(update)] = &update;
    ranked = ranked || !update.factors.contains(kLokrSecond);
  }
  bool same = read.updates.size() == written.updates.size() && read.min_rank == written.min_rank;
  if (ranked) {
    same = same && std::abs(read.scale.value() / written.scale.value() - 1) < 1e-6;
  }
  for (const auto& update : written.updates) {
    const auto found = by_name.find(name(update));
    same = same && found != by_name.end() && found->second->factors.size() == update.factors.size();
    for (const auto& [factor, value] : update.factors) {
      same = same && found->second->factors.contains(factor) &&
             Equal(found->second->factors.at(factor), value);
    }
  }
  if (!same) throw Error(ErrorKind::kInternal, "the adapter is not read back as it was written");
}

}  // namespace

std::string TrainedName(const LoraUpdate& update, const std::string& factor) {
  return update.part + "/" + update.layer + "." + factor;
}

bool IsTLora(const std::filesystem::path& directory) {
  return std::filesystem::exists(directory / kTLoraFile);
}

KohyaModel KohyaModelOf(const Family& model) {
  KohyaModel kohya;
  int64_t context = 0;
  for (const Part& part : model.Parts()) {
    if (part.name == "text_encoder_2") kohya.xl = true;
    if (part.role != Role::kDenoiser) continue;
    const auto config = nlohmann::json::parse(part.config);
    kohya.layers_per_block = config.at("layers_per_block").get<int64_t>();
    context = config.at("cross_attention_dim").get<int64_t>();
  }
  constexpr int64_t kOpenClip = 1024;  // Stable Diffusion 2's text tower
  const bool second = context == kOpenClip;
  const bool velocity = model.schedule().options().prediction_type == PredictionType::kV;
  kohya.version = kohya.xl ? "sdxl_base_v1-0" : !second ? "sd_v1" : velocity ? "sd_v2_v" : "sd_v2";
  return kohya;
}

LoraWeights ReadLora(const Family& model, const std::filesystem::path& directory) {
  if (std::filesystem::exists(directory / kLycorisFile)) {
    return ReadLycoris(directory / kLycorisFile, KohyaLayers(model));
  }
  return ReadDiffusersLora(directory / (IsTLora(directory) ? kTLoraFile : kDiffusersLoraFile));
}

void WriteLoraWeights(const Family& model, const LoraWeights& exact, torch::ScalarType dtype,
                      const std::filesystem::path& directory) {
  const LoraWeights weights = InSavedDtype(exact, dtype);
  const LoraFactors& first = weights.updates.front().factors;
  const bool lycoris = !first.contains(kLoraDown);
  const bool t_lora = weights.min_rank.has_value();
  if (!lycoris) {
    WriteDiffusersLora(directory / (t_lora ? kTLoraFile : kDiffusersLoraFile), weights);
  }
  if (!t_lora) {
    WriteKohyaLora(directory / (lycoris ? kLycorisFile : kKohyaLoraFile), weights,
                   KohyaModelOf(model));
  }
  CheckWritten(weights, ReadLora(model, directory));
  if (lycoris || t_lora) return;
  const auto kohya = SafetensorsFile::Open(directory / kKohyaLoraFile);
  CheckWritten(weights, ReadAnyLora(model, kohya).weights);
}

}  // namespace likeness
