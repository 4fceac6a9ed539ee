// What cross-attention reads of texts, one row a token: of a subject's words, and of captions of
// anything else. Rows are float64, on the CPU; D width of the context (XL: of both text encoders).
#pragma once

#include <torch/torch.h>

#include <functional>
#include <string>
#include <vector>

#include "worker/families/family.h"
#include "worker/tokenizers/clip_tokenizer.h"

namespace likeness {

// Of "zwx dog" and its like, each in "a zwx dog", the prompt that a fine-tune learns its photos with:
// from its first token to the end of the prompt, which is a token, too. The text encoder reads from
// left to right, so the words are the same rows in "a zwx dog in the snow". [M,D].
torch::Tensor FeaturesOfWords(Family& model, const std::vector<std::string>& phrases);

// Up to 400 captions of eight whole words of the vocabulary each, evenly spread over its ids: the
// more words stand beside each other, the more of what prompts read as is held. Always the same.
// Words of `without` are left out.
std::vector<std::string> VocabularyCaptions(const ClipTokenizer& tokenizer,
                                            const std::vector<std::string>& without);

// From the begin of each text to its end, both included, without padding: [R,D]. `poll` may throw
// to stop.
torch::Tensor FeaturesOfCaptions(Family& model, const std::vector<std::string>& captions,
                                 const std::function<void()>& poll);

}  // namespace likeness
