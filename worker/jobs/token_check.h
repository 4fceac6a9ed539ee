// Whether a subject's token is rare enough.
#pragma once

#include <string>

#include "worker/tokenizers/clip_tokenizer.h"

namespace likeness {

// True for a word that the model has most likely learned: one token, and either longer than three
// letters or among the words of three letters and less that English uses all the time. The paper
// takes rare tokens of at most three letters (2208.12242, section 3.1), so a short one is given the
// benefit of the doubt.
bool IsKnownWord(const std::string& token, const ClipTokenizer& tokenizer);

}  // namespace likeness
