#include "worker/evaluation/tiny_siglip.h"

#include <fstream>
#include <string>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/json_file.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/models/siglip.h"
#include "worker/tokenizers/sentencepiece_file.h"

namespace likeness {
namespace {

SentencePieceFile Letters() {
  SentencePieceFile model;
  model.pieces = {
      {"<unk>", 0, PieceType::kUnknown}, {"</s>", 0, PieceType::kControl}, {"\xe2\x96\x81", -1}};
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    model.pieces.push_back({std::string(1, letter), -2});
  }
  return model;
}

}  // namespace

void WriteTinySiglip(const std::filesystem::path& directory) {
  const SentencePieceFile letters = Letters();
  SiglipOptions options;
  for (SiglipTowerOptions* tower : {static_cast<SiglipTowerOptions*>(&options.text),
                                    static_cast<SiglipTowerOptions*>(&options.vision)}) {
    tower->hidden_size = 16;
    tower->intermediate_size = 32;
    tower->num_hidden_layers = 2;
    tower->num_attention_heads = 2;
  }
  options.text.vocab_size = static_cast<int64_t>(letters.pieces.size());
  options.text.max_position_embeddings = 16;
  options.text.projection_size = 16;
  options.vision.image_size = 64;
  options.vision.patch_size = 16;
  std::filesystem::create_directories(directory);
  WriteJsonFile(directory / "config.json", options.ToJson());
  WriteSafetensors(directory / "model.safetensors", StateDict(*SiglipModel(options)));
  WriteJsonFile(directory / "preprocessor_config.json",
                {{"do_resize", true}, {"size", {{"height", 64}, {"width", 64}}}, {"resample", 2}});
  std::ofstream(directory / "spiece.model", std::ios::binary) << SerializeSentencePiece(letters);
}

}  // namespace likeness
