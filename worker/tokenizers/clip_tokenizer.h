// CLIP's byte-pair tokenizer, equal id for id to transformers' CLIPTokenizer (Radford et al.,
// 2103.00020, section 2.4; reference: transformers/models/clip/tokenization_clip.py).
//
// Text -> NFC, runs of white space to one space, lower case -> pieces (contractions, runs of
// letters, single digits, runs of anything else) -> bytes -> merges, the last symbol of a piece
// carrying "</w>".
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace likeness {

// A token that is found in the text before it is cut into pieces.
struct SpecialToken {
  std::string content;
  bool normalized =
      false;  // looked for in the normalized text, so that case and white space do not matter
};

struct ClipTokenizerOptions {
  SpecialToken bos{"<|startoftext|>"};
  SpecialToken eos{"<|endoftext|>"};
  SpecialToken pad{"<|endoftext|>"};
  SpecialToken unk{"<|endoftext|>"};
  int model_max_length = 77;
  // Words behind the vocabulary, which have the ids that follow it, as Textual Inversion adds them:
  // found as FindWord does, before the text is cut into pieces. "zwx" that "zwx_1", "zwx_2", ...
  // follow is read as all of them, as diffusers' pipelines do (maybe_convert_prompt).
  std::vector<std::string> added_words = {};
};

// Immutable after construction, cheap to copy, safe to use from several threads.
class ClipTokenizer {
 public:
  // vocabulary[id] is the token of that id; merges in order of rank.
  // kFailedPrecondition if a merge or a special token is not in the vocabulary, or a token is there
  // twice.
  ClipTokenizer(std::vector<std::string> vocabulary,
                std::vector<std::pair<std::string, std::string>> merges,
                ClipTokenizerOptions options = {});

  // Reads vocab.json and merges.txt, or else tokenizer.json; special tokens and model_max_length
  // from tokenizer_config.json and special_tokens_map.json, where they are; `longest` is the length
  // where none is stated. kNotFound if there is no vocabulary, kDataLoss if a file cannot be
  // understood, kFailedPrecondition for a value of the wrong type or an added token (there or in
  // added_tokens.json) that is neither a special one nor a word as Save writes it.
  static ClipTokenizer Load(const std::filesystem::path& directory, int longest = 77);
  // Writes vocab.json, merges.txt, tokenizer_config.json and special_tokens_map.json, as Load and
  // transformers read. `added`: more words, from the id vocab_size() on, which transformers finds
  // where no letter stands beside them.
  void Save(const std::filesystem::path& directory,
            const std::vector<std::string>& added = {}) const;

  // Ids of the text alone: no begin, end or padding, never cut. kInvalidArgument if text is not
  // UTF-8.
  std::vector<int64_t> Encode(std::string_view text) const;
  // model_max_length ids: begin, as many of the text's as fit, end, padding.
  std::vector<int64_t> EncodePadded(std::string_view text) const;

  int vocab_size() const;  // ids, those of added words included
  int model_max_length() const;
  const ClipTokenizerOptions& options() const;
  const std::vector<std::string>& vocabulary() const;  // by id, without added words
  const std::vector<std::pair<std::string, std::string>>& merges() const;  // by rank
  // True if the word alone becomes exactly one token.
  bool IsSingleToken(std::string_view word) const;
  std::optional<int64_t> TokenToId(std::string_view token) const;
  // The token as vocab.json spells it, e.g. "dog</w>". 0 <= id < vocab_size().
  const std::string& IdToToken(int64_t id) const;
  int64_t bos_id() const;
  int64_t eos_id() const;
  int64_t pad_id() const;

 private:
  struct Tables;
  std::shared_ptr<const Tables> tables_;
};

}  // namespace likeness
