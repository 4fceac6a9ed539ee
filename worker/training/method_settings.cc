#include "worker/training/method_settings.h"

#include <cmath>
#include <string>

#include "third_party/nlohmann/json.hpp"
#include "worker/nn/named_activations.h"
#include "worker/training/require.h"
#include "worker/training/weight_initialization.h"

namespace likeness {
namespace {

void ValidateLora(const LoraOptions& lora) {
  Require(lora.rank >= 1, "lora.rank", lora.rank, "at least 1 is needed");
  RequirePositive("lora.alpha", lora.alpha);
  Require(lora.dropout >= 0 && lora.dropout < 1, "lora.dropout", lora.dropout,
          "0 to below 1 is allowed");
  Require(std::isfinite(lora.up_learning_rate_ratio) && lora.up_learning_rate_ratio >= 1,
          "lora.up_learning_rate_ratio", lora.up_learning_rate_ratio,
          "a finite number from 1 is needed");
  if (lora.min_rank) {
    Require(lora.variant == LoraVariant::kLora, "lora.min_rank", *lora.min_rank,
            "it is of the variant lora alone");
    Require(*lora.min_rank >= 1 && *lora.min_rank <= lora.rank, "lora.min_rank", *lora.min_rank,
            "1 to lora.rank is allowed");
  }
  Require(lora.lokr_factor >= 1, "lora.lokr_factor", lora.lokr_factor, "at least 1 is needed");
}

void ValidateWord(const TextualInversionOptions& word) {
  Require(word.vectors >= 1, "textual_inversion.vectors", word.vectors, "at least 1 is needed");
}

template <typename Rows>
std::string AllowedNames(const Rows& rows) {
  std::string names;
  for (const auto& row : rows) names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names + " are allowed";
}

void ValidateHypernetwork(const HypernetworkOptions& options) {
  const auto& widths = options.layer_structure;
  bool fine = widths.size() >= 3 && widths.size() <= 8 && widths.front() == 1 && widths.back() == 1;
  for (const double width : widths) fine = fine && width > 0 && width <= 4;
  Require(fine, "hypernetwork.layer_structure", widths,
          "3 to 8 numbers above 0 and at most 4 are needed, of which the first and the last are 1");
  Require(options.dropout >= 0 && options.dropout < 1, "hypernetwork.dropout", options.dropout,
          "0 to below 1 is allowed");
  Require(FindActivation(options.activation) != nullptr, "hypernetwork.activation",
          options.activation, AllowedNames(NamedActivations()).c_str());
  Require(FindWeightInitialization(options.weight_initialization) != nullptr,
          "hypernetwork.weight_initialization", options.weight_initialization,
          AllowedNames(WeightInitializations()).c_str());
}

// What does nothing where it has its usual value is left out: cards of plain LoRA stay as they are.
nlohmann::json SettingsOf(const LoraOptions& lora) {
  constexpr const char* kVariants[] = {"lora", "dora", "loha", "lokr"};
  nlohmann::json json = {{"rank", lora.rank},
                         {"alpha", lora.alpha},
                         {"dropout", lora.dropout},
                         {"rank_stabilized", lora.rank_stabilized},
                         {"targets", lora.targets}};
  if (lora.variant != LoraVariant::kLora) {
    json["variant"] = kVariants[static_cast<int>(lora.variant)];
  }
  if (lora.min_rank) json["min_rank"] = *lora.min_rank;
  if (lora.variant == LoraVariant::kLokr) json["lokr_factor"] = lora.lokr_factor;
  if (lora.up_learning_rate_ratio != 1) {
    json["up_learning_rate_ratio"] = lora.up_learning_rate_ratio;
  }
  return json;
}

nlohmann::json SettingsOf(const TextualInversionOptions& word) {
  return {{"vectors", word.vectors},
          {"initial_text", word.initial_text},
          {"keep_norm", word.keep_norm}};
}

nlohmann::json SettingsOf(const HypernetworkOptions& options) {
  nlohmann::json json = {{"layer_structure", options.layer_structure},
                         {"activation", options.activation},
                         {"layer_norm", options.layer_norm},
                         {"dropout", options.dropout},
                         {"self_attention", options.self_attention}};
  if (options.weight_initialization != "normal") {
    json["weight_initialization"] = options.weight_initialization;
  }
  if (options.activate_output) json["activate_output"] = true;
  if (!options.last_layer_dropout) json["last_layer_dropout"] = false;
  return json;
}

}  // namespace

void ValidateMethod(const FineTuneOptions& options) {
  if (options.method == "lora") ValidateLora(options.lora);
  if (options.method == "textual_inversion") ValidateWord(options.textual_inversion);
  if (options.method == "hypernetwork") ValidateHypernetwork(options.hypernetwork);
  if (options.method == "pivotal_tuning") {
    ValidateWord(options.textual_inversion);
    ValidateLora(options.lora);
    RequirePositive("vectors_learning_rate", options.vectors_learning_rate);
  }
}

nlohmann::json MethodSettingsJson(const FineTuneOptions& options) {
  if (options.method == "lora") return {{"lora", SettingsOf(options.lora)}};
  if (options.method == "textual_inversion") {
    return {{"textual_inversion", SettingsOf(options.textual_inversion)}};
  }
  if (options.method == "hypernetwork") {
    return {{"hypernetwork", SettingsOf(options.hypernetwork)}};
  }
  if (options.method == "pivotal_tuning") {
    return {{"textual_inversion", SettingsOf(options.textual_inversion)},
            {"lora", SettingsOf(options.lora)},
            {"vectors_learning_rate", options.vectors_learning_rate}};
  }
  if (options.method == "custom_diffusion") return {{"train_token", options.train_token}};
  return nlohmann::json::object();
}

}  // namespace likeness
