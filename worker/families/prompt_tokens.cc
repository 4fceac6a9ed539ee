#include "worker/families/prompt_tokens.h"

#include <algorithm>
#include <utility>

#include "common/prompt_weights.h"
#include "worker/base/error.h"

namespace likeness {
namespace {

// Tokens of the text in a row: all but begin and end.
int64_t RoomOf(const ClipTokenizer& tokenizer) { return tokenizer.model_max_length() - 2; }

std::vector<WeightedText> WeightedParts(const std::string& text) {
  PromptWeights read = ParsePromptWeights(text);
  if (!read.error.empty()) throw Error(ErrorKind::kInvalidArgument, "a prompt " + read.error);
  return std::move(read.parts);
}

}  // namespace

PromptTokens ReadPrompt(const ClipTokenizer& tokenizer, const std::string& text,
                        const std::vector<NewWord>& words, const TextOptions& options) {
  PromptTokens read;
  const auto parts = options.weights ? WeightedParts(text) : std::vector<WeightedText>{{text, 1}};
  for (const WeightedText& part : parts) {
    const auto ids = EncodeWithWords(tokenizer, part.text, words);
    read.ids.insert(read.ids.end(), ids.begin(), ids.end());
    read.weights.resize(read.ids.size(), static_cast<float>(part.weight));
  }
  const auto room = static_cast<size_t>(RoomOf(tokenizer));
  if (!options.long_prompts && read.ids.size() > room) {
    read.ids.resize(room);
    read.weights.resize(room);
  }
  return read;
}

int64_t PromptTokens::Rows(const ClipTokenizer& tokenizer) const {
  const int64_t room = RoomOf(tokenizer);
  return std::max<int64_t>(1, (std::ssize(ids) + room - 1) / room);
}

PromptTokens PromptTokens::Row(const ClipTokenizer& tokenizer, int64_t row) const {
  const auto from = std::min(row * RoomOf(tokenizer), std::ssize(ids));
  const auto to = std::min(from + RoomOf(tokenizer), std::ssize(ids));
  const auto length = static_cast<size_t>(tokenizer.model_max_length());
  PromptTokens result;
  result.ids.push_back(tokenizer.bos_id());
  result.ids.insert(result.ids.end(), ids.begin() + from, ids.begin() + to);
  result.ids.push_back(tokenizer.eos_id());
  result.ids.resize(length, tokenizer.pad_id());
  result.weights.push_back(1);
  result.weights.insert(result.weights.end(), weights.begin() + from, weights.begin() + to);
  result.weights.resize(length, 1);
  return result;
}

bool PromptTokens::weighted() const {
  return std::any_of(weights.begin(), weights.end(), [](float weight) { return weight != 1; });
}

}  // namespace likeness
