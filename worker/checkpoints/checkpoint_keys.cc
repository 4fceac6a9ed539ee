#include "worker/checkpoints/checkpoint_keys.h"

#include <string_view>

namespace likeness {
namespace {

// Names that the autoencoder's attention had before diffusers 0.17.
constexpr struct {
  const char* old_name;
  const char* new_name;
} kVaeAttentionNames[] = {
    {".attentions.0.query.", ".attentions.0.to_q."},
    {".attentions.0.key.", ".attentions.0.to_k."},
    {".attentions.0.value.", ".attentions.0.to_v."},
    {".attentions.0.proj_attn.", ".attentions.0.to_out.0."},
};

std::string TodaysVaeKey(std::string key) {
  for (const auto& [old_name, new_name] : kVaeAttentionNames) {
    const std::string_view old(old_name);
    if (const auto at = key.find(old); at != std::string::npos) {
      return key.replace(at, old.size(), new_name);
    }
  }
  return key;
}

}  // namespace

std::optional<std::string> ParameterOfKey(const std::string& component, const std::string& key) {
  if (component == "vae") return TodaysVaeKey(key);
  if (component.starts_with("text_encoder")) {
    if (key.starts_with("text_projection.")) return key;
    // transformers 5 leaves the prefix out.
    const auto full = key.starts_with("text_model.") ? key : "text_model." + key;
    if (full == "text_model.embeddings.position_ids") return std::nullopt;  // 0, 1, 2, ...
    return full;
  }
  if (component == "clip_vision" || component == "clip_text") {
    // One file holds both towers.
    const bool of_text = key.starts_with("text_");
    if (key == "logit_scale" || key.ends_with(".position_ids")) return std::nullopt;
    if (of_text != (component == "clip_text")) return std::nullopt;
  }
  if (component == "siglip") {
    // Of the loss.
    if (key == "logit_scale" || key == "logit_bias") return std::nullopt;
    if (key.ends_with(".position_ids")) return std::nullopt;
  }
  if (component == "safety_checker") {
    if (key.ends_with(".position_ids")) return std::nullopt;
    // transformers 5 leaves the second one out.
    constexpr std::string_view kTwice = "vision_model.vision_model.";
    return key.starts_with(kTwice) ? key.substr(sizeof("vision_model")) : key;
  }
  if (component == "vit" && (key.starts_with("pooler.") || key == "embeddings.mask_token")) {
    return std::nullopt;  // of what is left out
  }
  if (component == "lpips" && key.starts_with("lins.")) return std::nullopt;  // lin0, ... again
  return key;
}

}  // namespace likeness
