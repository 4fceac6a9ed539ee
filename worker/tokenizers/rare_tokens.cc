#include "worker/tokenizers/rare_tokens.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "worker/tokenizers/byte_pair_encoder.h"

namespace likeness {
namespace {

constexpr size_t kLetters = 3;
constexpr std::string_view kConsonants = "bcdfghjklmnpqrstvwxz";
// Rare in captions for another reason.
constexpr std::array<std::string_view, 2> kCurses = {"fck", "wtf"};

bool IsRare(std::string_view word) {
  if (word.size() != kLetters) return false;
  for (size_t i = 0; i < kLetters; ++i) {
    if (kConsonants.find(word[i]) == std::string_view::npos ||
        word.find(word[i], i + 1) != std::string_view::npos)
      return false;
  }
  return std::find(kCurses.begin(), kCurses.end(), word) == kCurses.end();
}

}  // namespace

std::vector<std::string> RareTokens(const ClipTokenizer& tokenizer, size_t most) {
  std::vector<std::string> found;
  const auto& merges = tokenizer.merges();
  std::set<std::string_view> endings;  // of longer words
  for (const auto& [left, right] : merges) endings.insert(right);
  for (auto merge = merges.rbegin(); merge != merges.rend() && found.size() < most; ++merge) {
    std::string word = merge->first + merge->second;
    if (!word.ends_with(kEndOfWord) || endings.contains(word)) continue;
    word.resize(word.size() - kEndOfWord.size());
    // Two merges can make the same token.
    const bool known = std::find(found.begin(), found.end(), word) != found.end();
    if (!known && IsRare(word) && tokenizer.IsSingleToken(word)) found.push_back(std::move(word));
  }
  return found;
}

}  // namespace likeness
