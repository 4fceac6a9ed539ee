// Embeddings of a word as files of their own.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace likeness {

struct WordEmbedding {
  std::string word;
  std::vector<torch::Tensor> rows_KD;  // of each text encoder, one or two
};

// As diffusers' load_textual_inversion reads it: one tensor under the word; of XL "clip_l" and
// "clip_g". ReadEmbedding reads what WriteEmbedding wrote. Errors: those of SafetensorsFile::Open;
// kFailedPrecondition for what is no such file.
inline constexpr const char* kEmbeddingFile = "learned_embeds.safetensors";
void WriteEmbedding(const std::filesystem::path& file, const WordEmbedding& embedding);
WordEmbedding ReadEmbedding(const std::filesystem::path& file);

// What any program wrote as an embedding, for a word that may be empty: one tensor under any name,
// [K,D] or [D], or "clip_l" and "clip_g" alone. Nothing for another file.
std::optional<WordEmbedding> ReadAnyEmbedding(const std::filesystem::path& file);

// As A1111 reads it: "emb_params"; of XL as above.
inline constexpr const char* kA1111EmbeddingFile = "a1111_embedding.safetensors";
void WriteA1111Embedding(const std::filesystem::path& file, const WordEmbedding& embedding);

// Throws Error(kInternal) where a file of either kind does not hold what was to be written.
void CheckEmbedding(const std::filesystem::path& file, const WordEmbedding& written);

}  // namespace likeness
