// Prompts as SigLIP's text tower reads them: SigLIP (Zhai et al. 2303.15343) has a unigram model,
// spiece.model, for text without punctuation, as transformers' SiglipTokenizer; SigLIP 2
// (Tschannen et al. 2502.14786) has Gemma's, tokenizer.model, as Siglip2Tokenizer. Both are trained
// on lower case, an end token, and padding up to the tower's length.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "worker/tokenizers/sentencepiece_model.h"

namespace likeness {

class SiglipTokenizer {
 public:
  // Reads spiece.model or, where there is none, tokenizer.model; and tokenizer_config.json where it
  // is there. Errors: as ReadSentencePiece; kFailedPrecondition for a setting that is not
  // supported, and where the end or the padding token is none of the model's.
  static SiglipTokenizer Load(const std::filesystem::path& directory);

  // `length` ids: the prompt's, cut where they are too many, the end token, padding. Special tokens
  // that are written in the prompt are text. Error: kInvalidArgument for what is no UTF-8.
  std::vector<int64_t> EncodePadded(const std::string& prompt, int64_t length) const;

  int64_t vocab_size() const { return pieces_.size(); }

 private:
  explicit SiglipTokenizer(SentencePieceModel pieces) : pieces_(std::move(pieces)) {}

  SentencePieceModel pieces_;
  bool lower_case_ = true;
  bool punctuation_ = false;  // is kept
  int64_t end_ = 0, padding_ = 0;
};

}  // namespace likeness
