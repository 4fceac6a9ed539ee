// ClipTokenizer::Load and Save: the files that transformers reads and writes.
#include <fstream>
#include <sstream>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/tokenizers/clip_tokenizer.h"

namespace likeness {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

using Merges = std::vector<std::pair<std::string, std::string>>;

[[noreturn]] void Corrupt(const std::string& file, const std::string& reason) {
  throw Error(ErrorKind::kDataLoss, "tokenizer/" + file + ": " + reason);
}

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in || !text) Corrupt(path.filename(), "cannot be read");
  return text.str();
}

json ReadJson(const fs::path& path) try {
  return json::parse(ReadFile(path));
} catch (const json::exception& e) {
  Corrupt(path.filename(), e.what());
}

json ReadJsonIfThere(const fs::path& path) {
  return fs::exists(path) ? ReadJson(path) : json::object();
}

// {"token": id, ...} to tokens by id.
std::vector<std::string> VocabularyFrom(const json& ids, const std::string& file) {
  std::vector<std::string> vocabulary(ids.size());
  std::vector<bool> seen(ids.size());
  for (const auto& [token, value] : ids.items()) {
    const auto id = value.get<int64_t>();
    if (id < 0 || id >= static_cast<int64_t>(ids.size()) || seen[id]) {
      Corrupt(file, "id " + std::to_string(id) + " of \"" + token + "\"; allowed: 0 to " +
                        std::to_string(ids.size() - 1) + ", each once");
    }
    vocabulary[id] = token;
    seen[id] = true;
  }
  return vocabulary;
}

std::pair<std::string, std::string> ParseMerge(const std::string& line, const std::string& file) {
  const size_t space = line.find(' ');
  const bool one_space =
      space != std::string::npos && line.find(' ', space + 1) == std::string::npos;
  if (!one_space || space == 0 || space + 1 == line.size()) {
    Corrupt(file, "\"" + line + "\" is not two tokens with a space between");
  }
  return {line.substr(0, space), line.substr(space + 1)};
}

Merges ReadMerges(const fs::path& path) {
  Merges merges;
  std::istringstream lines(ReadFile(path));
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.starts_with("#version")) continue;
    merges.push_back(ParseMerge(line, path.filename()));
  }
  return merges;
}

// tokenizer.json lists merges as ["a", "b"] or, in older files, as "a b".
Merges MergesFrom(const json& list) {
  Merges merges;
  for (const auto& merge : list) {
    merges.push_back(merge.is_string() ? ParseMerge(merge, "tokenizer.json")
                                       : merge.get<std::pair<std::string, std::string>>());
  }
  return merges;
}

// A special token stands in a file as its text or as an object with flags.
void ReadSpecial(const json& config, const char* key, SpecialToken& token) {
  if (!config.contains(key) || config[key].is_null()) return;
  const json& value = config[key];
  if (value.is_string()) {
    token = {value};
  } else {
    token = {value.at("content"), value.value("normalized", false)};
  }
}

void ReadSpecials(const json& config, ClipTokenizerOptions& options) {
  ReadSpecial(config, "bos_token", options.bos);
  ReadSpecial(config, "eos_token", options.eos);
  ReadSpecial(config, "pad_token", options.pad);
  ReadSpecial(config, "unk_token", options.unk);
}

// A list of added tokens knows best how each is looked for; one that is none of the four has no
// meaning here.
void ReadAddedToken(const json& added, ClipTokenizerOptions& options) {
  const std::string content = added.at("content");
  bool known = false;
  for (SpecialToken* token : {&options.bos, &options.eos, &options.pad, &options.unk}) {
    if (token->content != content) continue;
    token->normalized = added.value("normalized", false);
    known = true;
  }
  if (!known) {
    throw Error(ErrorKind::kFailedPrecondition,
                "tokenizer: added token \"" + content + "\" is not supported");
  }
}

ClipTokenizerOptions OptionsFrom(const json& special_tokens_map, const json& config,
                                 const json& tokenizer) {
  ClipTokenizerOptions options;
  ReadSpecials(config, options);
  // As transformers has it: the older file wins, unless the newer one lists its added tokens.
  if (!config.contains("added_tokens_decoder")) ReadSpecials(special_tokens_map, options);
  const json decoder = config.value("added_tokens_decoder", json::object());
  for (const auto& added : decoder) ReadAddedToken(added, options);
  const json added_tokens = tokenizer.value("added_tokens", json::array());
  for (const auto& added : added_tokens) ReadAddedToken(added, options);
  // Written as 1e30 where nobody said; no text encoder of this kind reads more than 77.
  const double most = config.value("model_max_length", 77.0);
  if (most <= 4096) options.model_max_length = static_cast<int>(most);
  return options;
}

json ToJson(const SpecialToken& token) {
  return {{"content", token.content},
          {"lstrip", false},
          {"normalized", token.normalized},
          {"rstrip", false},
          {"single_word", false}};
}

void WriteFile(const fs::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) {
    throw Error(ErrorKind::kResourceExhausted,
                "tokenizer/" + path.filename().string() + ": cannot be written");
  }
}

}  // namespace

ClipTokenizer ClipTokenizer::Load(const fs::path& directory) try {
  const json special_tokens_map = ReadJsonIfThere(directory / "special_tokens_map.json");
  const json config = ReadJsonIfThere(directory / "tokenizer_config.json");
  if (fs::exists(directory / "vocab.json") && fs::exists(directory / "merges.txt")) {
    return ClipTokenizer(VocabularyFrom(ReadJson(directory / "vocab.json"), "vocab.json"),
                         ReadMerges(directory / "merges.txt"),
                         OptionsFrom(special_tokens_map, config, json::object()));
  }
  if (!fs::exists(directory / "tokenizer.json")) {
    throw Error(ErrorKind::kNotFound,
                "tokenizer: neither vocab.json with merges.txt nor tokenizer.json is there");
  }
  const json tokenizer = ReadJson(directory / "tokenizer.json");
  const json& model = tokenizer.at("model");
  return ClipTokenizer(VocabularyFrom(model.at("vocab"), "tokenizer.json"),
                       MergesFrom(model.at("merges")),
                       OptionsFrom(special_tokens_map, config, tokenizer));
} catch (const json::exception& e) {
  throw Error(ErrorKind::kDataLoss, std::string("tokenizer: ") + e.what());
}

void ClipTokenizer::Save(const fs::path& directory) const {
  fs::create_directories(directory);
  ordered_json ids = ordered_json::object();
  // push_back of what is known to be new: operator[] of an ordered object searches it all.
  auto& entries = ids.get_ref<ordered_json::object_t&>();
  for (const auto& token : vocabulary()) entries.emplace_back(token, entries.size());
  WriteFile(directory / "vocab.json", ids.dump());

  std::string merge_lines = "#version: 0.2\n";
  for (const auto& [left, right] : merges()) merge_lines += left + " " + right + "\n";
  WriteFile(directory / "merges.txt", merge_lines);

  const json specials = {{"bos_token", ToJson(options().bos)},
                         {"eos_token", ToJson(options().eos)},
                         {"pad_token", ToJson(options().pad)},
                         {"unk_token", ToJson(options().unk)}};
  WriteFile(directory / "special_tokens_map.json", specials.dump(2) + "\n");

  const json config = {{"tokenizer_class", "CLIPTokenizer"},
                       {"model_max_length", model_max_length()},
                       {"do_lower_case", true},
                       {"bos_token", options().bos.content},
                       {"eos_token", options().eos.content},
                       {"pad_token", options().pad.content},
                       {"unk_token", options().unk.content}};
  WriteFile(directory / "tokenizer_config.json", config.dump(2) + "\n");
}

}  // namespace likeness
