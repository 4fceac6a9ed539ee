#include "worker/jobs/token_check.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "absl/strings/ascii.h"

namespace likeness {
namespace {

constexpr size_t kRareLength = 3;

// Nouns, colours and function words; sorted.
constexpr std::array<std::string_view, 122> kShortWords = {
    "a",   "act", "add", "age", "air", "all", "an",  "and", "ant", "any", "ape", "are", "arm",
    "art", "as",  "at",  "axe", "bag", "bar", "bat", "be",  "bed", "bee", "big", "bow", "box",
    "boy", "bug", "bus", "but", "by",  "can", "cap", "car", "cat", "cow", "cup", "cut", "dad",
    "day", "do",  "dog", "dot", "dry", "ear", "eat", "egg", "elk", "eye", "fan", "fat", "few",
    "fig", "fly", "for", "fox", "fun", "fur", "gem", "get", "go",  "gun", "hat", "he",  "hen",
    "her", "him", "his", "hot", "ice", "ink", "jar", "jet", "jug", "key", "kid", "leg", "lip",
    "log", "man", "map", "mom", "mud", "mug", "net", "new", "not", "nut", "oak", "of",  "oil",
    "old", "one", "out", "owl", "pan", "pen", "pet", "pie", "pig", "pin", "pot", "rat", "red",
    "rug", "sea", "sky", "son", "sun", "tea", "ten", "the", "tie", "tin", "top", "toy", "two",
    "van", "web", "wet", "you", "zoo"};
static_assert(std::is_sorted(kShortWords.begin(), kShortWords.end()));

}  // namespace

bool IsKnownWord(const std::string& token, const ClipTokenizer& tokenizer) {
  if (!tokenizer.IsSingleToken(token)) return false;
  const std::string word = absl::AsciiStrToLower(token);
  if (word.size() > kRareLength) return true;
  return std::binary_search(kShortWords.begin(), kShortWords.end(), word);
}

}  // namespace likeness
