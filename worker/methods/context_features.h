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

// The prompt that a fine-tune learns its photos with: "a zwx dog" of "zwx dog".
std::string PromptOfWords(const std::string& phrase);

// Of "zwx dog" and its like, each in its prompt: from its first token to the end of the prompt,
// which is a token, too. The text encoder reads from left to right, so the words are the same rows
// in "a zwx dog in the snow". [M,D].
torch::Tensor FeaturesOfWords(Family& model, const std::vector<std::string>& phrases);

// Up to 400 captions of eight whole words of the vocabulary each, evenly spread over its ids: the
// more words stand beside each other, the more of what prompts read as is held. Always the same.
// Words of `without` are left out.
std::vector<std::string> VocabularyCaptions(const ClipTokenizer& tokenizer,
                                            const std::vector<std::string>& without);

// From the begin of each text to its end, both included, without padding: [R,D]; where `after` is
// not empty, of each text as it goes on after it, from there. `poll` may throw to stop.
torch::Tensor FeaturesOfCaptions(Family& model, const std::vector<std::string>& captions,
                                 const std::string& after, const std::function<void()>& poll);

}  // namespace likeness
