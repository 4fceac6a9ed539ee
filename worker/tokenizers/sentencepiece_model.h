// Text to the pieces of a SentencePiece model (Kudo and Richardson 1808.06226): those of the most
// probable segmentation (unigram, Kudo 1804.10959), or by merges (BPE, Sennrich et al. 1508.07909).
// Gives what SentencePieceProcessor::EncodeAsIds of github.com/google/sentencepiece gives.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "worker/tokenizers/piece_normalizer.h"
#include "worker/tokenizers/sentencepiece_file.h"

namespace likeness {

class SentencePieceModel {
 public:
  // Error (kDataLoss): there is no unknown piece, or a piece is there twice.
  explicit SentencePieceModel(SentencePieceFile file);
  SentencePieceModel(SentencePieceModel&&) = default;

  std::vector<int64_t> Encode(std::string_view text) const;

  // Of a piece, control pieces included.
  std::optional<int64_t> IdOf(std::string_view piece) const;
  int64_t size() const { return static_cast<int64_t>(file_.pieces.size()); }

 private:
  // A part of the text and its piece; `unknown_` where none fits.
  struct Segment {
    std::string_view text;
    int64_t id;
  };
  std::vector<Segment> MostProbable(std::string_view text) const;
  std::vector<Segment> Merged(std::string_view text) const;
  const Piece& At(int64_t id) const { return file_.pieces[static_cast<size_t>(id)]; }
  // Of pieces that text is made of.
  std::optional<int64_t> Find(std::string_view text) const;

  SentencePieceFile file_;
  PieceNormalizer normalizer_;
  std::unordered_map<std::string_view, int64_t> in_text_, reserved_;  // keys lie in file_
  int64_t unknown_ = -1;
  size_t longest_ = 0;  // of in_text_, in bytes
  float least_score_ = 0, largest_score_ = 0;
};

}  // namespace likeness
