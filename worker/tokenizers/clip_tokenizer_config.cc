#include "worker/tokenizers/clip_tokenizer_config.h"

#include <charconv>
#include <map>
#include <string>
#include <vector>

#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"

namespace likeness {
namespace {

using nlohmann::json;

[[noreturn]] void Refuse(const std::string& file, const std::string& reason) {
  throw Error(ErrorKind::kFailedPrecondition, "tokenizer/" + file + ": " + reason);
}

// A special token stands in a file as its text or as an object with flags.
void ReadSpecial(const std::string& file, const json& config, const char* key,
                 SpecialToken& token) {
  ConfigReader reader(file, config);
  if (!reader.Has(key)) return;
  if (!config[key].is_object()) {
    token = {reader.Get<std::string>(key)};
    return;
  }
  ConfigReader flags(file + ": " + key, config[key]);
  token = {flags.Get<std::string>("content"), false};
  flags.Read("normalized", token.normalized);
}

void ReadSpecials(const std::string& file, const json& config, ClipTokenizerOptions& options) {
  ReadSpecial(file, config, "bos_token", options.bos);
  ReadSpecial(file, config, "eos_token", options.eos);
  ReadSpecial(file, config, "pad_token", options.pad);
  ReadSpecial(file, config, "unk_token", options.unk);
}

// Lists of added tokens know best how each is looked for. The four special tokens can be added,
// each under the id that it has in the vocabulary, and words behind it that are looked for as this
// service looks for them: where they stand alone, in upper and lower case.
class AddedTokens {
 public:
  AddedTokens(const std::vector<std::string>& vocabulary, ClipTokenizerOptions& options)
      : vocabulary_(vocabulary), options_(options) {}

  // Nothing is known of how it is looked for.
  void Take(const std::string& file, const std::string& content, int64_t id) {
    const bool known = id >= 0 && id < Size() && vocabulary_[static_cast<size_t>(id)] == content;
    const auto word = words_.find(id);
    if (known && !SpecialsCalled(content).empty()) return;
    if (word != words_.end() && word->second == content) return;
    throw Error(ErrorKind::kFailedPrecondition,
                file + ": added token " + ShownJson(content) + " with id " + std::to_string(id) +
                    " is not supported; the begin, end, padding and unknown token may be listed, "
                    "each with its id in the vocabulary, and words with ids from " +
                    std::to_string(Size()) +
                    " on in tokenizer_config.json, single_word and normalized, neither lstrip nor "
                    "rstrip");
  }

  // An object with "content" and flags.
  void Take(const std::string& file, const json& token, int64_t id) {
    ConfigReader reader(file + ": an added token", token);
    const auto content = reader.Get<std::string>("content");
    bool normalized = false, single_word = false, lstrip = false, rstrip = false;
    reader.Read("normalized", normalized);
    reader.Read("single_word", single_word);
    reader.Read("lstrip", lstrip);
    reader.Read("rstrip", rstrip);
    const auto specials = SpecialsCalled(content);
    for (SpecialToken* special : specials) special->normalized = normalized;
    const bool stands_alone = single_word && normalized && !lstrip && !rstrip;
    if (specials.empty() && stands_alone && !content.empty() && id >= Size()) {
      words_.try_emplace(id, content);
    }
    Take(file, content, id);
  }

  // By id, which go on from the vocabulary's last.
  std::vector<std::string> Words() const {
    std::vector<std::string> words;
    for (const auto& [id, content] : words_) {
      const int64_t next = Size() + static_cast<int64_t>(words.size());
      if (id != next) {
        Refuse("tokenizer_config.json", "added token " + ShownJson(content) + " has id " +
                                            std::to_string(id) +
                                            "; the next behind the vocabulary "
                                            "is " +
                                            std::to_string(next));
      }
      words.push_back(content);
    }
    return words;
  }

 private:
  int64_t Size() const { return static_cast<int64_t>(vocabulary_.size()); }
  std::vector<SpecialToken*> SpecialsCalled(const std::string& content) const {
    std::vector<SpecialToken*> specials;
    for (SpecialToken* token : {&options_.bos, &options_.eos, &options_.pad, &options_.unk}) {
      if (token->content == content) specials.push_back(token);
    }
    return specials;
  }

  const std::vector<std::string>& vocabulary_;
  ClipTokenizerOptions& options_;
  std::map<int64_t, std::string> words_;
};

// {"20": {"content": ...}, ...} of tokenizer_config.json.
void ReadDecoder(const json& decoder, AddedTokens& added) {
  constexpr char kFile[] = "tokenizer/tokenizer_config.json";
  if (decoder.is_null()) return;
  if (!decoder.is_object()) Refuse("tokenizer_config.json", "added_tokens_decoder is no object");
  for (const auto& [id, token] : decoder.items()) {
    int64_t number = -1;
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
    if (error != std::errc() || end != id.data() + id.size()) number = -1;
    added.Take(kFile, token, number);
  }
}

// [{"id": 20, "content": ...}, ...] of tokenizer.json.
void ReadAddedList(const json& list, AddedTokens& added) {
  constexpr char kFile[] = "tokenizer/tokenizer.json";
  if (list.is_null()) return;
  if (!list.is_array()) Refuse("tokenizer.json", "added_tokens is no list");
  for (const auto& token : list) {
    added.Take(kFile, token, ConfigReader(kFile, token).Get<int64_t>("id"));
  }
}

// {"<token>": 20, ...}: added_tokens.json, as older versions of transformers write it.
void ReadAddedFile(const json& ids, AddedTokens& added) {
  constexpr char kFile[] = "tokenizer/added_tokens.json";
  ConfigReader reader(kFile, ids);
  for (const auto& [token, id] : ids.items()) {
    added.Take(kFile, token, reader.Get<int64_t>(token));
  }
}

// Written as 1e30 where nobody said.
constexpr double kSaysNothing = 1e9;

}  // namespace

nlohmann::json MemberOf(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nlohmann::json() : *found;
}

ClipTokenizerOptions TokenizerOptions(const TokenizerConfigs& files,
                                      const std::vector<std::string>& vocabulary, int longest) {
  ClipTokenizerOptions options;
  ConfigReader config("tokenizer/tokenizer_config.json", files.config);
  ReadSpecials("tokenizer/tokenizer_config.json", files.config, options);
  // As transformers has it: the older file wins, unless the newer one lists its added tokens.
  if (!config.Has("added_tokens_decoder")) {
    ReadSpecials("tokenizer/special_tokens_map.json", files.special_tokens_map, options);
  }
  AddedTokens added(vocabulary, options);
  ReadDecoder(MemberOf(files.config, "added_tokens_decoder"), added);
  ReadAddedList(MemberOf(files.tokenizer, "added_tokens"), added);
  ReadAddedFile(files.added_tokens, added);
  options.added_words = added.Words();

  double most = kSaysNothing;
  config.Read("model_max_length", most);
  options.model_max_length = longest;
  if (most >= kSaysNothing) return options;
  int64_t length = 0;
  config.ReadSize("model_max_length", length);
  options.model_max_length = static_cast<int>(length);
  return options;
}

}  // namespace likeness
