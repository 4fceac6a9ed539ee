// Adapters that other programs wrote, as those of this service: which layout a file has is told by
// its keys, every key is used, and every shape fits the base model.
//
// LoRA: diffusers (older ones too) and peft, kohya's sd-scripts and LyCORIS. A layer's own alpha
// and rank become those of the file: factors are scaled, or filled up with zeros, where they
// differ. Without an alpha it is the rank, as diffusers and kohya read it. Words: diffusers'
// learned_embeds, A1111's emb_params; of XL "clip_l" and "clip_g". Hypernetworks: the layout of
// worker/exports/hypernetwork_file.h.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/families/family.h"

namespace likeness {

struct ImportedAdapter {
  std::string method;   // "lora", "textual_inversion", "hypernetwork"
  std::string variant;  // of LoRA: "lora", "dora", "loha", "lokr"; else empty
  std::string layout;   // "kohya", ...: for people
  std::string word;     // that the file names; empty where it names none
  // Writes the files of the adapter's directory, without the card; a word's for `token`. Read back
  // and compared.
  std::function<void(const std::filesystem::path& directory, const std::string& token)> write;
};

// Error: kFailedPrecondition naming the key for what is none of these, or not of this model;
// kDataLoss for what is no safetensors file. The model outlives what this returns.
ImportedAdapter ImportAdapter(Family& model, const std::filesystem::path& file);

}  // namespace likeness
