// Where checkpoints in the wild name things otherwise than our modules do.
#pragma once

#include <optional>
#include <string>

namespace likeness {

// The parameter that `key` of a checkpoint of `component` ("unet", "vae", "text_encoder",
// "text_encoder_2", "clip_vision", "clip_text", "safety_checker", "vit", "lpips") means; nothing
// for a key that holds no weights and is left out.
std::optional<std::string> ParameterOfKey(const std::string& component, const std::string& key);

}  // namespace likeness
