// The model files of SentencePiece (Kudo and Richardson 1808.06226): spiece.model, tokenizer.model.
// They are messages of sentencepiece_model.proto (github.com/google/sentencepiece); what encoding
// text needs of them is read here, so that the engine needs no library for it
// (docs/decisions/0115-siglip.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace likeness {

// Of a piece and of what a character is replaced by, in bytes: published models stay far below.
inline constexpr size_t kLongestPiece = 1024;

enum class PieceType { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

struct Piece {
  std::string text;
  float score = 0;
  PieceType type = PieceType::kNormal;
};

struct PieceNormalization {
  std::string charsmap;  // a trie of what is replaced, and what by; empty: nothing is
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

struct SentencePieceFile {
  bool bpe = false;  // else unigram
  bool byte_fallback = false;
  std::vector<Piece> pieces;  // by their ids
  PieceNormalization normalization;
};

// Errors: kDataLoss for what is no such file, is cut, or has a piece that is too long or a score
// that is not finite; kFailedPrecondition for a model of words or of characters, and for one that
// takes whitespace as a suffix.
SentencePieceFile ParseSentencePiece(std::string_view bytes, const std::string& file);
SentencePieceFile ReadSentencePiece(const std::filesystem::path& path);

// Such a file.
std::string SerializeSentencePiece(const SentencePieceFile& model);

}  // namespace likeness
