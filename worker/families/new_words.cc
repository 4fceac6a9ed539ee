#include "worker/families/new_words.h"

#include <algorithm>
#include <string_view>

namespace likeness {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Of ASCII; what has its high bit set belongs to a letter of some script.
bool IsPartOfWord(char c) {
  const char lower = Lower(c);
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || (c & 0x80) != 0;
}

bool StandsAlone(std::string_view text, size_t at, size_t size) {
  const bool begins = at == 0 || !IsPartOfWord(text[at - 1]) || !IsPartOfWord(text[at]);
  const size_t end = at + size;
  const bool ends = end == text.size() || !IsPartOfWord(text[end]) || !IsPartOfWord(text[end - 1]);
  return begins && ends;
}

size_t Find(std::string_view text, std::string_view word) {
  const auto same = [](char a, char b) { return Lower(a) == Lower(b); };
  for (size_t from = 0; from <= text.size();) {
    const auto found = std::search(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(),
                                   word.begin(), word.end(), same);
    if (found == text.end()) break;
    const auto at = static_cast<size_t>(found - text.begin());
    if (StandsAlone(text, at, word.size())) return at;
    from = at + 1;
  }
  return std::string_view::npos;
}

}  // namespace

std::vector<int64_t> EncodeWithWords(const ClipTokenizer& tokenizer, const std::string& text,
                                     const std::vector<NewWord>& words) {
  std::vector<int64_t> ids;
  const auto add_plain = [&](std::string_view plain) {
    const auto more = tokenizer.Encode(plain);
    ids.insert(ids.end(), more.begin(), more.end());
  };
  for (std::string_view rest = text; !rest.empty();) {
    size_t first_at = std::string_view::npos;
    const NewWord* first = nullptr;
    int64_t first_id = 0;
    int64_t id = tokenizer.vocab_size();
    for (const NewWord& word : words) {
      const size_t at = word.word.empty() ? std::string_view::npos : Find(rest, word.word);
      if (at != std::string_view::npos && at <= first_at) {
        first_at = at;
        first = &word;
        first_id = id;
      }
      id += word.size();
    }
    if (first == nullptr) {
      add_plain(rest);
      break;
    }
    if (first_at > 0) add_plain(rest.substr(0, first_at));
    for (int64_t i = 0; i < first->size(); ++i) ids.push_back(first_id + i);
    rest.remove_prefix(first_at + first->word.size());
  }
  return ids;
}

std::vector<int64_t> EncodePaddedWithWords(const ClipTokenizer& tokenizer, const std::string& text,
                                           const std::vector<NewWord>& words) {
  if (words.empty()) return tokenizer.EncodePadded(text);
  const size_t length = tokenizer.model_max_length();
  auto ids = EncodeWithWords(tokenizer, text, words);
  if (ids.size() > length - 2) ids.resize(length - 2);
  ids.insert(ids.begin(), tokenizer.bos_id());
  ids.push_back(tokenizer.eos_id());
  ids.resize(length, tokenizer.pad_id());
  return ids;
}

}  // namespace likeness
