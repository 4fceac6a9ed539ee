// The files of a tokenizer, as a model directory holds them: vocab.json, merges.txt,
// tokenizer_config.json, special_tokens_map.json, tokenizer.json and added_tokens.json, with a line
// "%%" between. What loads encodes any text into ids of its vocabulary.
#include <fstream>

#include "absl/strings/str_split.h"
#include "tests/fuzz/fuzz.h"
#include "worker/base/error.h"
#include "worker/tokenizers/clip_tokenizer.h"

using likeness::fuzz::Check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto& folder = *new likeness::fuzz::Scratch();
  const std::vector<std::string> parts =
      absl::StrSplit(likeness::fuzz::Text(data, size), absl::MaxSplits("\n%%\n", 5));
  constexpr const char* kNames[] = {
      "vocab.json",     "merges.txt",       "tokenizer_config.json", "special_tokens_map.json",
      "tokenizer.json", "added_tokens.json"};
  const std::filesystem::path directory = folder.path();
  for (size_t i = 0; i < std::size(kNames); ++i) {
    std::filesystem::remove(directory / kNames[i]);
    if (i < parts.size() && !parts[i].empty()) std::ofstream(directory / kNames[i]) << parts[i];
  }
  try {
    const auto tokenizer = likeness::ClipTokenizer::Load(directory);
    for (const char* text : {"", "a photo of a dog", "\u00e9t\u00e9 123 !!", "\U0001f436"}) {
      const auto ids = tokenizer.EncodePadded(text);
      Check(static_cast<int>(ids.size()) == tokenizer.model_max_length(), "a prompt is padded");
      for (const int64_t id : ids) {
        Check(id >= 0 && id < tokenizer.vocab_size(), "an id is in the vocabulary");
      }
    }
  } catch (const likeness::Error&) {
  }
  return 0;
}
