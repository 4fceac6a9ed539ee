// A prompt as ids of one tokenizer, with what each weighs, and cut into rows for its text encoder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/families/family.h"
#include "worker/families/new_words.h"
#include "worker/tokenizers/clip_tokenizer.h"

namespace likeness {

struct PromptTokens {
  std::vector<int64_t> ids;  // of the text alone
  std::vector<float> weights;

  // As many as it takes, at least 1.
  int64_t Rows(const ClipTokenizer& tokenizer) const;
  // model_max_length() of both: begin, the row's part, end, padding; an empty one behind the last.
  PromptTokens Row(const ClipTokenizer& tokenizer, int64_t row) const;
  bool weighted() const;  // some token weighs other than 1
};

// Without long_prompts no more tokens than one row holds. kInvalidArgument for text that is not
// UTF-8, and, where weights are read, for one that is none.
PromptTokens ReadPrompt(const ClipTokenizer& tokenizer, const std::string& text,
                        const std::vector<NewWord>& words, const TextOptions& options);

}  // namespace likeness
