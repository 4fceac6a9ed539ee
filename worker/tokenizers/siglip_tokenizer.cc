#include "worker/tokenizers/siglip_tokenizer.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"
#include "worker/base/io/json_file.h"
#include "worker/tokenizers/unicode_text.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr char32_t kEscapedSpace = 0x2581;
constexpr char kUnknownToken[] = "<unk>";  // of SiglipTokenizer

bool IsPunctuation(char32_t c) {
  constexpr std::string_view kPunctuation = R"(!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~)";
  return c < 0x80 && kPunctuation.find(static_cast<char>(c)) != std::string_view::npos;
}

// As Python's \s: U+001C to U+001F besides White_Space.
bool IsGap(char32_t c) { return IsSpace(c) || (c >= 0x1c && c <= 0x1f) || c == kEscapedSpace; }

// Words without punctuation, one space between. The reference writes the space before the first
// word itself, and does not see that the prompt may begin with another.
std::u32string Canonical(std::u32string_view text) {
  std::u32string words(1, kEscapedSpace);
  bool gap = false;
  for (const char32_t c : text) {
    if (IsPunctuation(c)) continue;
    if (!IsGap(c)) {
      if (gap) words += U' ';
      words += c;
    }
    gap = IsGap(c);
  }
  return words;
}

// A token is a string, or an object that says more of it.
std::string TokenIn(const nlohmann::json& config, const char* name, std::string token) {
  const auto found = config.find(name);
  if (found == config.end() || found->is_null()) return token;
  ConfigReader reader("tokenizer", config);
  if (found->is_object()) return ConfigReader("tokenizer", *found).Get<std::string>("content");
  reader.Read(name, token);
  return token;
}

}  // namespace

SiglipTokenizer SiglipTokenizer::Load(const fs::path& directory) {
  const bool first = fs::exists(directory / "spiece.model");
  if (!first && !fs::exists(directory / "tokenizer.model")) {
    throw Error(ErrorKind::kFailedPrecondition,
                "siglip: there is neither spiece.model nor tokenizer.model");
  }
  SiglipTokenizer tokenizer{SentencePieceModel(
      ReadSentencePiece(directory / (first ? "spiece.model" : "tokenizer.model")))};
  auto config = ReadJsonIfThere(directory / "tokenizer_config.json");
  if (!config.is_object()) config = nlohmann::json::object();
  // Of SigLIP 2 the published setting is right and was not heeded by its first tokenizer in
  // transformers (its issue 43054); text is in lower case whatever it says.
  if (first) ConfigReader("tokenizer", config).Read("do_lower_case", tokenizer.lower_case_);
  tokenizer.punctuation_ = !first;
  const auto id_of = [&](const char* name, const char* otherwise) {
    const std::string token = TokenIn(config, name, otherwise);
    const auto id = tokenizer.pieces_.IdOf(token);
    if (!id) {
      throw Error(ErrorKind::kFailedPrecondition,
                  "tokenizer: " + std::string(name) + " is \"" + token +
                      "\", which is none of the pieces of its model");
    }
    return *id;
  };
  tokenizer.end_ = id_of("eos_token", first ? "</s>" : "<eos>");
  tokenizer.padding_ = id_of("pad_token", first ? "</s>" : "<pad>");
  return tokenizer;
}

std::vector<int64_t> SiglipTokenizer::EncodePadded(const std::string& prompt,
                                                   int64_t length) const {
  std::u32string text = DecodeUtf8(prompt);
  if (lower_case_) text = ToLower(text);
  // What stands before is cut away again: the model's own way with the beginning of text has no
  // part in it.
  const std::string before = punctuation_ ? "" : kUnknownToken;
  auto ids = pieces_.Encode(before + EncodeUtf8(punctuation_ ? text : Canonical(text)));
  const auto cut = std::min(ids.size(), pieces_.Encode(before).size());
  ids.erase(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(cut));
  ids.resize(std::min(ids.size(), static_cast<size_t>(length - 1)));
  ids.push_back(end_);
  ids.resize(static_cast<size_t>(length), padding_);
  return ids;
}

}  // namespace likeness
