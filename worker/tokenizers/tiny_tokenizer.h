// For tests: every letter alone and at the end of a word, no merges.
#pragma once

#include <string>
#include <vector>

#include "worker/tokenizers/clip_tokenizer.h"

namespace likeness {

inline ClipTokenizer TinyTokenizer(int max_length) {
  std::vector<std::string> vocabulary;
  for (char letter = 'a'; letter <= 'z'; ++letter) vocabulary.emplace_back(1, letter);
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    vocabulary.push_back(std::string(1, letter) + "</w>");
  }
  vocabulary.emplace_back("<|startoftext|>");
  vocabulary.emplace_back("<|endoftext|>");
  return ClipTokenizer(vocabulary, /*merges=*/{}, {.model_max_length = max_length});
}

}  // namespace likeness
