// Words that a vocabulary knows as one token, and that mean next to nothing.
#pragma once

#include <string>
#include <vector>

#include "worker/tokenizers/clip_tokenizer.h"

namespace likeness {

// Up to `most` words to name a subject by, the rarest first: single tokens of three different
// consonants that no longer word ends with, those that were merged last before the others. Without
// a vowel there is no word among them; some are abbreviations of rarely captioned things. Empty for
// vocabularies without such tokens. DreamBooth (arXiv 2208.12242, 3.2) looks for tokens of three
// letters among the rare ones of T5's vocabulary; where it looks, CLIP's has "pot" and "egg".
std::vector<std::string> RareTokens(const ClipTokenizer& tokenizer, size_t most);

}  // namespace likeness
