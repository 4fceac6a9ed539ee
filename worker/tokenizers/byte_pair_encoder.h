// Byte-pair merges over bytes (Sennrich et al., 1508.07909, in the byte-level form of GPT-2 and
// CLIP).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace likeness {

inline constexpr std::string_view kEndOfWord = "</w>";

// How vocabularies spell a byte: itself if it is printable in Latin-1, else one of U+0100 and
// after; UTF-8.
const std::array<std::string, 256>& ByteSymbols();

// The 256 bytes in the order in which CLIP's vocabulary lists them: the printable ones first.
const std::array<uint8_t, 256>& BytesInVocabularyOrder();

using TokenIds = std::unordered_map<std::string, int64_t>;

// Immutable.
class BytePairEncoder {
 public:
  // Merges in order of rank. A byte that has no symbol in the vocabulary becomes unk_id.
  // kFailedPrecondition if a merge names a token that the vocabulary lacks.
  BytePairEncoder(const TokenIds& ids,
                  const std::vector<std::pair<std::string, std::string>>& merges, int64_t unk_id);

  // Appends the tokens of one piece, in time n log n of its bytes.
  void Encode(std::string_view piece, std::vector<int64_t>& out) const;

 private:
  struct Merge {
    int64_t rank;
    int64_t merged_id;
  };
  const Merge* Find(int64_t left, int64_t right) const;

  std::array<int64_t, 256> byte_ids_;
  std::array<int64_t, 256> last_byte_ids_;
  std::unordered_map<uint64_t, Merge> merges_;
};

}  // namespace likeness
