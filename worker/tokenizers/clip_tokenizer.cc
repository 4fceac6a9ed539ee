#include "worker/tokenizers/clip_tokenizer.h"

#include <algorithm>

#include "worker/base/error.h"
#include "worker/tokenizers/byte_pair_encoder.h"
#include "worker/tokenizers/clip_pieces.h"
#include "worker/tokenizers/find_word.h"

namespace likeness {
namespace {

TokenIds IdsOf(const std::vector<std::string>& vocabulary) {
  TokenIds ids;
  ids.reserve(vocabulary.size());
  for (const auto& token : vocabulary) {
    if (ids.emplace(token, static_cast<int64_t>(ids.size())).second) continue;
    throw Error(ErrorKind::kFailedPrecondition,
                "tokenizer: \"" + token + "\" is in the vocabulary twice");
  }
  return ids;
}

// What is found in the text before it is cut into pieces, as it is looked for.
struct WholeToken {
  std::string content;
  int64_t id;       // the first
  int64_t ids = 1;  // that it is read as, one after the other
};

int64_t IdOf(const TokenIds& ids, const SpecialToken& token) {
  auto found = ids.find(token.content);
  if (!token.content.empty() && found != ids.end()) return found->second;
  throw Error(ErrorKind::kFailedPrecondition,
              "tokenizer: special token \"" + token.content + "\" is not in the vocabulary");
}

// The special tokens that are looked for in the normalized text, or those that are looked for
// before.
std::vector<WholeToken> SpecialsOf(const TokenIds& ids, const ClipTokenizerOptions& options,
                                   bool normalized) {
  std::vector<WholeToken> specials;
  for (const auto* token : {&options.bos, &options.eos, &options.pad, &options.unk}) {
    if (token->normalized != normalized) continue;
    specials.push_back(
        {normalized ? NormalizeClipText(token->content) : token->content, IdOf(ids, *token)});
  }
  return specials;
}

// Where one token has several roles, the last of them says how it is looked for, as in
// transformers.
ClipTokenizerOptions Unified(ClipTokenizerOptions options) {
  SpecialToken* const roles[] = {&options.bos, &options.eos, &options.unk, &options.pad};
  for (SpecialToken* role : roles) {
    for (const SpecialToken* other : roles) {
      if (other->content == role->content) role->normalized = other->normalized;
    }
  }
  return options;
}

std::vector<WholeToken> AddedWordsOf(const std::vector<std::string>& contents, int64_t first_id) {
  std::vector<WholeToken> words;
  size_t head = 0;  // that the one after it may belong to
  for (const std::string& content : contents) {
    const bool goes_on =
        !words.empty() && content == words[head].content + "_" + std::to_string(words[head].ids);
    if (goes_on) {
      ++words[head].ids;
    } else {
      head = words.size();
    }
    words.push_back({content, first_id + static_cast<int64_t>(words.size()), 1});
  }
  return words;
}

size_t FindExactly(std::string_view text, std::string_view token) { return text.find(token); }

// Cuts text at tokens: calls between(text), and appends the tokens' ids, in order. The leftmost
// wins, of those the longest. `find`: the first place of a token in a text, or npos.
template <typename Between>
void SplitAt(std::string_view text, const std::vector<WholeToken>& tokens,
             size_t (*find)(std::string_view text, std::string_view token), const Between& between,
             std::vector<int64_t>& ids) {
  while (!tokens.empty()) {
    const WholeToken* first = nullptr;
    size_t first_at = std::string_view::npos;
    for (const WholeToken& token : tokens) {
      const size_t at = find(text, token.content);
      if (at == std::string_view::npos || at > first_at) continue;
      if (at == first_at && token.content.size() <= first->content.size()) continue;
      first = &token;
      first_at = at;
    }
    if (first == nullptr) break;
    if (first_at > 0) between(text.substr(0, first_at));
    for (int64_t i = 0; i < first->ids; ++i) ids.push_back(first->id + i);
    text.remove_prefix(first_at + first->content.size());
  }
  if (!text.empty()) between(text);
}

}  // namespace

struct ClipTokenizer::Tables {
  std::vector<std::string> vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;
  ClipTokenizerOptions options;
  TokenIds ids;
  int64_t bos, eos, pad;
  std::vector<WholeToken> raw_specials;
  std::vector<WholeToken> normalized_specials;
  std::vector<WholeToken> added_words;
  BytePairEncoder encoder;

  Tables(std::vector<std::string> vocabulary_in,
         std::vector<std::pair<std::string, std::string>> merges_in,
         ClipTokenizerOptions options_in)
      : vocabulary(std::move(vocabulary_in)),
        merges(std::move(merges_in)),
        options(Unified(std::move(options_in))),
        ids(IdsOf(vocabulary)),
        bos(IdOf(ids, options.bos)),
        eos(IdOf(ids, options.eos)),
        pad(IdOf(ids, options.pad)),
        raw_specials(SpecialsOf(ids, options, false)),
        normalized_specials(SpecialsOf(ids, options, true)),
        added_words(AddedWordsOf(options.added_words, static_cast<int64_t>(vocabulary.size()))),
        encoder(ids, merges, IdOf(ids, options.unk)) {
    if (options.model_max_length < 2) {
      throw Error(ErrorKind::kFailedPrecondition, "tokenizer: model_max_length is " +
                                                      std::to_string(options.model_max_length) +
                                                      "; allowed: 2 or more");
    }
  }
};

ClipTokenizer::ClipTokenizer(std::vector<std::string> vocabulary,
                             std::vector<std::pair<std::string, std::string>> merges,
                             ClipTokenizerOptions options)
    : tables_(
          std::make_shared<Tables>(std::move(vocabulary), std::move(merges), std::move(options))) {}

std::vector<int64_t> ClipTokenizer::Encode(std::string_view text) const {
  std::vector<int64_t> out;
  auto plain = [&](std::string_view normalized) {
    for (const auto& piece : SplitClipPieces(normalized)) tables_->encoder.Encode(piece, out);
  };
  auto raw = [&](std::string_view part) {
    SplitAt(NormalizeClipText(part), tables_->normalized_specials, FindExactly, plain, out);
  };
  auto without_words = [&](std::string_view part) {
    SplitAt(part, tables_->raw_specials, FindExactly, raw, out);
  };
  SplitAt(text, tables_->added_words, FindWord, without_words, out);
  return out;
}

std::vector<int64_t> ClipTokenizer::EncodePadded(std::string_view text) const {
  const size_t length = model_max_length();
  auto ids = Encode(text);
  if (ids.size() > length - 2) ids.resize(length - 2);
  ids.insert(ids.begin(), bos_id());
  ids.push_back(eos_id());
  ids.resize(length, pad_id());
  return ids;
}

int ClipTokenizer::vocab_size() const {
  return static_cast<int>(tables_->vocabulary.size() + tables_->added_words.size());
}
int ClipTokenizer::model_max_length() const { return tables_->options.model_max_length; }
const ClipTokenizerOptions& ClipTokenizer::options() const { return tables_->options; }
const std::vector<std::string>& ClipTokenizer::vocabulary() const { return tables_->vocabulary; }
const std::vector<std::pair<std::string, std::string>>& ClipTokenizer::merges() const {
  return tables_->merges;
}

bool ClipTokenizer::IsSingleToken(std::string_view word) const { return Encode(word).size() == 1; }

std::optional<int64_t> ClipTokenizer::TokenToId(std::string_view token) const {
  auto found = tables_->ids.find(std::string(token));
  if (found == tables_->ids.end()) return std::nullopt;
  return found->second;
}

const std::string& ClipTokenizer::IdToToken(int64_t id) const {
  const auto at = static_cast<size_t>(id);
  const size_t own = tables_->vocabulary.size();
  return at < own ? tables_->vocabulary[at] : tables_->added_words.at(at - own).content;
}

int64_t ClipTokenizer::bos_id() const { return tables_->bos; }
int64_t ClipTokenizer::eos_id() const { return tables_->eos; }
int64_t ClipTokenizer::pad_id() const { return tables_->pad; }

}  // namespace likeness
