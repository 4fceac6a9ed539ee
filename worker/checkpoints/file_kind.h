// What a file of a model directory is, by its name alone: the one rule for who loads, digests,
// shares and exchanges them.
#pragma once

#include <filesystem>

namespace likeness {

enum class FileKind {
  kWeights,  // safetensors, and the index of its shards in every variant that libraries write:
             // "model.safetensors.index.json", "model.safetensors.index.fp16.json",
             // "model.fp16.safetensors.index.json"
  kPickle,   // weights that run code when they are opened, and the index of their shards
  kText,     // configurations and tokenizer files: .json and .txt
  kOther,
};

FileKind KindOfFile(const std::filesystem::path& file);

}  // namespace likeness
