#include "worker/methods/context_features.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "worker/base/error.h"
#include "worker/families/prompt_tokens.h"
#include "worker/tokenizers/byte_pair_encoder.h"

namespace likeness {
namespace {

constexpr size_t kWordsEach = 8, kMostWords = 400 * kWordsEach;
constexpr size_t kBatch = 16;

// Tokens of the text alone, as many as a prompt holds.
int64_t LengthOf(const Family& model, const std::string& text) {
  return std::ssize(ReadPrompt(model.tokenizer(), text, model.words(), {}).ids);
}

torch::Tensor ContextOf(Family& model, const std::vector<Prompt>& prompts) {
  return model.Encode(prompts, {model.image_size(), model.image_size()})
      .context_NSD.to(torch::kCPU, torch::kFloat64);
}

std::vector<std::string> WholeWords(const ClipTokenizer& tokenizer,
                                    const std::vector<std::string>& without) {
  std::vector<std::string> words;
  for (const std::string& token : tokenizer.vocabulary()) {
    if (!token.ends_with(kEndOfWord)) continue;
    std::string word = token.substr(0, token.size() - kEndOfWord.size());
    const bool letters = std::all_of(word.begin(), word.end(),
                                     [](char letter) { return letter >= 'a' && letter <= 'z'; });
    if (word.empty() || !letters || !tokenizer.IsSingleToken(word)) continue;
    if (std::find(without.begin(), without.end(), word) != without.end()) continue;
    words.push_back(std::move(word));
  }
  return words;
}

}  // namespace

std::string PromptOfWords(const std::string& phrase) { return "a " + phrase; }

torch::Tensor FeaturesOfWords(Family& model, const std::vector<std::string>& phrases) {
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> rows;
  const int64_t first = 1 + LengthOf(model, PromptOfWords(""));  // after the begin
  for (const std::string& phrase : phrases) {
    const std::string prompt = PromptOfWords(phrase);
    const int64_t end = 1 + LengthOf(model, prompt);
    rows.push_back(ContextOf(model, {prompt})[0].slice(0, std::min(first, end), end + 1));
  }
  return torch::cat(rows);
}

std::vector<std::string> VocabularyCaptions(const ClipTokenizer& tokenizer,
                                            const std::vector<std::string>& without) {
  const auto known = WholeWords(tokenizer, without);
  if (known.empty()) {
    throw Error(ErrorKind::kFailedPrecondition,
                "the base model's vocabulary has no whole words of the letters a to z, of which a "
                "merge by constraints (ADAPTER_MERGE_CONSTRAINED) makes captions");
  }
  const size_t count = std::min(known.size(), kMostWords);
  const auto word = [&](size_t i) { return known[(i % count) * known.size() / count]; };
  const size_t captions = (count + kWordsEach - 1) / kWordsEach;
  std::vector<std::string> made;
  for (size_t i = 0; i < captions; ++i) {
    std::string caption = word(i);
    for (size_t j = 1; j < kWordsEach; ++j) caption += " " + word(i + j * captions);
    made.push_back(std::move(caption));
  }
  return made;
}

torch::Tensor FeaturesOfCaptions(Family& model, const std::vector<std::string>& captions,
                                 const std::string& after, const std::function<void()>& poll) {
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> rows;
  const int64_t first = after.empty() ? 0 : 1 + LengthOf(model, after);
  const std::string before = after.empty() ? "" : after + " ";
  for (size_t begin = 0; begin < captions.size(); begin += kBatch) {
    if (poll) poll();
    const size_t count = std::min(kBatch, captions.size() - begin);
    std::vector<Prompt> prompts;
    for (size_t i = 0; i < count; ++i) prompts.push_back(before + captions[begin + i]);
    const auto context_NSD = ContextOf(model, prompts);
    for (size_t i = 0; i < count; ++i) {
      const int64_t end = 1 + LengthOf(model, before + captions[begin + i]);
      rows.push_back(context_NSD[i].slice(0, std::min(first, end), end + 1));
    }
  }
  return torch::cat(rows);
}

}  // namespace likeness
