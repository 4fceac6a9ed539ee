// ClipTokenizer::Load and Save: the files that transformers reads and writes.
#include <cerrno>
#include <fstream>
#include <sstream>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"
#include "worker/base/io/model_json.h"
#include "worker/tokenizers/clip_tokenizer.h"
#include "worker/tokenizers/clip_tokenizer_config.h"

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

json ReadJson(const fs::path& path) {
  return ParseModelJson(ReadFile(path), "tokenizer/" + path.filename().string());
}

json ReadJsonIfThere(const fs::path& path) {
  return fs::exists(path) ? ReadJson(path) : json::object();
}

// {"token": id, ...} to tokens by id.
std::vector<std::string> VocabularyFrom(const json& ids, const std::string& file) {
  if (!ids.is_object()) Corrupt(file, "the vocabulary is not an object of tokens and ids");
  std::vector<std::string> vocabulary(ids.size());
  std::vector<bool> seen(ids.size());
  for (const auto& [token, value] : ids.items()) {
    int64_t id = -1;
    if (!ConvertJson(value, id) || id < 0 || id >= static_cast<int64_t>(ids.size()) || seen[id]) {
      Corrupt(file, "id " + ShownJson(value) + " of " + ShownJson(token) + "; allowed: 0 to " +
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
  const std::string text = ReadFile(path);
  if (const auto instead = WhatLiesInstead(text)) Corrupt(path.filename(), "is " + *instead);
  Merges merges;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.starts_with("#version")) continue;
    merges.push_back(ParseMerge(line, path.filename()));
  }
  return merges;
}

// tokenizer.json lists merges as ["a", "b"] or, in older files, as "a b".
Merges MergesFrom(const json& list) {
  if (!list.is_array()) Corrupt("tokenizer.json", "model.merges is not a list");
  Merges merges;
  for (const auto& merge : list) {
    std::vector<std::string> pair;
    if (merge.is_string()) {
      merges.push_back(ParseMerge(merge, "tokenizer.json"));
    } else if (ConvertJson(merge, pair) && pair.size() == 2) {
      merges.emplace_back(pair[0], pair[1]);
    } else {
      Corrupt("tokenizer.json", ShownJson(merge) + " in model.merges is not two tokens");
    }
  }
  return merges;
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
  if (!out) throw WriteError("writing tokenizer/" + path.filename().string(), errno);
}

}  // namespace

ClipTokenizer ClipTokenizer::Load(const fs::path& directory, int longest) {
  TokenizerConfigs files{
      .special_tokens_map = ReadJsonIfThere(directory / "special_tokens_map.json"),
      .config = ReadJsonIfThere(directory / "tokenizer_config.json"),
      .added_tokens = ReadJsonIfThere(directory / "added_tokens.json")};
  if (fs::exists(directory / "vocab.json") && fs::exists(directory / "merges.txt")) {
    auto vocabulary = VocabularyFrom(ReadJson(directory / "vocab.json"), "vocab.json");
    auto options = TokenizerOptions(files, vocabulary, longest);
    return ClipTokenizer(std::move(vocabulary), ReadMerges(directory / "merges.txt"), options);
  }
  if (!fs::exists(directory / "tokenizer.json")) {
    throw Error(ErrorKind::kNotFound,
                "tokenizer: neither vocab.json with merges.txt nor tokenizer.json is there");
  }
  files.tokenizer = ReadJson(directory / "tokenizer.json");
  ConfigReader("tokenizer/tokenizer.json", files.tokenizer);
  const json model = MemberOf(files.tokenizer, "model");
  if (!model.is_object()) Corrupt("tokenizer.json", "model is not an object");
  auto vocabulary = VocabularyFrom(MemberOf(model, "vocab"), "tokenizer.json");
  auto options = TokenizerOptions(files, vocabulary, longest);
  return ClipTokenizer(std::move(vocabulary), MergesFrom(MemberOf(model, "merges")), options);
}

void ClipTokenizer::Save(const fs::path& directory, const std::vector<std::string>& added) const {
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

  json config = {{"tokenizer_class", "CLIPTokenizer"},
                 {"model_max_length", model_max_length()},
                 {"do_lower_case", true},
                 {"bos_token", options().bos.content},
                 {"eos_token", options().eos.content},
                 {"pad_token", options().pad.content},
                 {"unk_token", options().unk.content}};
  auto words = options().added_words;
  words.insert(words.end(), added.begin(), added.end());
  size_t id = vocabulary().size();
  for (const std::string& word : words) {
    json token = ToJson({word, /*normalized=*/true});
    token["single_word"] = true;
    token["special"] = false;
    config["added_tokens_decoder"][std::to_string(id++)] = std::move(token);
  }
  WriteFile(directory / "tokenizer_config.json", config.dump(2) + "\n");
}

}  // namespace likeness
