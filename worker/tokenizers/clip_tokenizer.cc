#include "worker/tokenizers/clip_tokenizer.h"

#include <algorithm>

#include "worker/base/error.h"
#include "worker/tokenizers/byte_pair_encoder.h"
#include "worker/tokenizers/clip_pieces.h"

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

// A special token as it is looked for, with its id.
struct Special {
  std::string content;
  int64_t id;
};

int64_t IdOf(const TokenIds& ids, const SpecialToken& token) {
  auto found = ids.find(token.content);
  if (!token.content.empty() && found != ids.end()) return found->second;
  throw Error(ErrorKind::kFailedPrecondition,
              "tokenizer: special token \"" + token.content + "\" is not in the vocabulary");
}

// The special tokens that are looked for in the normalized text, or those that are looked for
// before.
std::vector<Special> SpecialsOf(const TokenIds& ids, const ClipTokenizerOptions& options,
                                bool normalized) {
  std::vector<Special> specials;
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

// Cuts text at special tokens: calls between(text) and special(id) in order. The leftmost wins, of
// those the longest.
template <typename Between, typename OnSpecial>
void SplitAtSpecials(std::string_view text, const std::vector<Special>& specials,
                     const Between& between, const OnSpecial& on_special) {
  while (!specials.empty()) {
    const Special* first = nullptr;
    size_t first_at = std::string_view::npos;
    for (const Special& special : specials) {
      const size_t at = text.find(special.content);
      if (at == std::string_view::npos || at > first_at) continue;
      if (at == first_at && special.content.size() <= first->content.size()) continue;
      first = &special;
      first_at = at;
    }
    if (first == nullptr) break;
    if (first_at > 0) between(text.substr(0, first_at));
    on_special(first->id);
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
  std::vector<Special> raw_specials;
  std::vector<Special> normalized_specials;
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
  auto special = [&](int64_t id) { out.push_back(id); };
  auto plain = [&](std::string_view normalized) {
    for (const auto& piece : SplitClipPieces(normalized)) tables_->encoder.Encode(piece, out);
  };
  auto raw = [&](std::string_view part) {
    SplitAtSpecials(NormalizeClipText(part), tables_->normalized_specials, plain, special);
  };
  SplitAtSpecials(text, tables_->raw_specials, raw, special);
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

int ClipTokenizer::vocab_size() const { return static_cast<int>(tables_->vocabulary.size()); }
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
  return tables_->vocabulary.at(static_cast<size_t>(id));
}

int64_t ClipTokenizer::bos_id() const { return tables_->bos; }
int64_t ClipTokenizer::eos_id() const { return tables_->eos; }
int64_t ClipTokenizer::pad_id() const { return tables_->pad; }

}  // namespace likeness
