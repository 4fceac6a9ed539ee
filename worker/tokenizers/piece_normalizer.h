// Text as SentencePiece reads it: characters replaced by a table of the model (NFKC and more),
// whitespace collapsed and written as U+2581. As Normalizer of github.com/google/sentencepiece.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/tokenizers/sentencepiece_file.h"

namespace likeness {

// How many bytes the UTF-8 character has that begins so; 1 where none begins.
size_t Utf8CharacterSize(char first);

class PieceNormalizer {
 public:
  // `kept`: pieces that are read as they stand, the longest first. Error (kDataLoss): the table
  // is cut.
  PieceNormalizer(const PieceNormalization& settings, const std::set<std::string>& kept);

  std::string operator()(std::string_view text) const;

  // The length of the longest of the kept pieces that `text` begins with, in bytes; 0: of none.
  size_t KeptPrefix(std::string_view text) const;

 private:
  // What the beginning of `text` is replaced by, and how many bytes it has.
  std::pair<std::string_view, size_t> NextReplacement(std::string_view text) const;

  PieceNormalization settings_;  // whose charsmap holds the replacements behind the trie
  std::set<std::string> kept_;
  size_t longest_kept_ = 0;
  std::vector<uint32_t> trie_;  // of darts-clone (github.com/s-yata/darts-clone)
};

}  // namespace likeness
