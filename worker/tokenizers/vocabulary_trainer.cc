#include "worker/tokenizers/vocabulary_trainer.h"

#include <map>
#include <optional>
#include <set>

#include "worker/base/error.h"
#include "worker/tokenizers/byte_pair_encoder.h"
#include "worker/tokenizers/clip_pieces.h"

namespace likeness {
namespace {

using Pair = std::pair<std::string, std::string>;

struct Word {
  std::vector<std::string> symbols;
  int64_t count;
};

// One symbol a byte, the last one ending the word.
std::vector<std::string> BytesOf(const std::string& piece) {
  std::vector<std::string> symbols;
  for (unsigned char byte : piece) symbols.push_back(ByteSymbols()[byte]);
  symbols.back() += kEndOfWord;
  return symbols;
}

std::vector<Word> CountWords(const std::vector<std::string>& words) {
  std::map<std::string, int64_t> counts;
  for (const auto& word : words) {
    const auto pieces = SplitClipPieces(NormalizeClipText(word));
    if (pieces.size() != 1) {
      throw Error(ErrorKind::kInvalidArgument,
                  "vocabulary word \"" + word + "\" is " + std::to_string(pieces.size()) +
                      " pieces; allowed: letters only, one digit, or marks only");
    }
    ++counts[pieces[0]];
  }
  std::vector<Word> counted;
  for (const auto& [piece, count] : counts) counted.push_back({BytesOf(piece), count});
  return counted;
}

// The pair seen most often within words; of equals the first in byte order.
std::optional<Pair> MostFrequentPair(const std::vector<Word>& words) {
  std::map<Pair, int64_t> counts;
  for (const auto& [symbols, count] : words) {
    for (size_t i = 0; i + 1 < symbols.size(); ++i) counts[{symbols[i], symbols[i + 1]}] += count;
  }
  std::optional<Pair> best;
  int64_t best_count = 0;
  for (const auto& [pair, count] : counts) {
    if (count <= best_count) continue;
    best = pair;
    best_count = count;
  }
  return best;
}

// Merges as an encoder with these ranks would, so that what is one token here is one there.
void Merge(const std::map<Pair, size_t>& ranks, std::vector<std::string>& symbols) {
  while (true) {
    size_t best_at = 0, best_rank = ranks.size();
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      auto found = ranks.find({symbols[i], symbols[i + 1]});
      if (found == ranks.end() || found->second >= best_rank) continue;
      best_at = i;
      best_rank = found->second;
    }
    if (best_rank == ranks.size()) return;
    symbols[best_at] += symbols[best_at + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
}

bool Contains(const std::vector<std::string>& symbols, const Pair& pair) {
  for (size_t i = 0; i + 1 < symbols.size(); ++i) {
    if (symbols[i] == pair.first && symbols[i + 1] == pair.second) return true;
  }
  return false;
}

std::vector<Pair> LearnMerges(std::vector<Word> words) {
  std::vector<Pair> merges;
  std::map<Pair, size_t> ranks;
  while (auto pair = MostFrequentPair(words)) {
    ranks.emplace(*pair, merges.size());
    merges.push_back(*pair);
    for (auto& word : words) {
      if (Contains(word.symbols, *pair)) Merge(ranks, word.symbols);
    }
    std::erase_if(words, [](const Word& word) { return word.symbols.size() == 1; });
  }
  return merges;
}

}  // namespace

ClipTokenizer TrainVocabulary(const std::vector<std::string>& words, int model_max_length) {
  auto merges = LearnMerges(CountWords(words));
  std::vector<std::string> vocabulary;
  for (uint8_t byte : BytesInVocabularyOrder()) vocabulary.push_back(ByteSymbols()[byte]);
  for (uint8_t byte : BytesInVocabularyOrder()) {
    vocabulary.push_back(ByteSymbols()[byte] + std::string(kEndOfWord));
  }
  // Two merges can make the same token ("th" + "e", "t" + "he").
  std::set<std::string> known(vocabulary.begin(), vocabulary.end());
  for (const auto& [left, right] : merges) {
    if (known.insert(left + right).second) vocabulary.push_back(left + right);
  }
  ClipTokenizerOptions options{.model_max_length = model_max_length};
  vocabulary.push_back(options.bos.content);
  vocabulary.push_back(options.eos.content);
  return ClipTokenizer(std::move(vocabulary), std::move(merges), options);
}

}  // namespace likeness
