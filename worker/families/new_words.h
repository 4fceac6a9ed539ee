// Words that a model's text encoders have no row for, and are given some: Textual Inversion.
// K rows, D width of a text encoder.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "worker/tokenizers/clip_tokenizer.h"

namespace likeness {

struct NewWord {
  // Found in prompts where no letter or digit stands beside it, in upper and lower case.
  std::string word;
  // What text encoders read for it, [K,D] of each in the order of Family::Parts(), float.
  std::vector<torch::Tensor> rows_KD;

  int64_t size() const { return rows_KD.empty() ? 0 : rows_KD.front().size(0); }
};

// As ClipTokenizer::Encode, with the words as K ids each, which count on from the tokenizer's last.
std::vector<int64_t> EncodeWithWords(const ClipTokenizer& tokenizer, const std::string& text,
                                     const std::vector<NewWord>& words);

}  // namespace likeness
