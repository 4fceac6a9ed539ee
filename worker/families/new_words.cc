#include "worker/families/new_words.h"

#include <string_view>

#include "worker/tokenizers/find_word.h"

namespace likeness {
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
      const size_t at = FindWord(rest, word.word);
      // Of several at one place the longest, and of equal ones the last.
      const bool is_first = at < first_at || (at == first_at && first != nullptr &&
                                              word.word.size() >= first->word.size());
      if (at != std::string_view::npos && is_first) {
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

}  // namespace likeness
