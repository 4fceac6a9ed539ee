// Learns a CLIP-style byte-pair vocabulary from a list of words.
#pragma once

#include <string>
#include <vector>

#include "worker/tokenizers/clip_tokenizer.h"

namespace likeness {

// A vocabulary of 256 bytes, 256 bytes that end a word, the learned merges, begin and end: CLIP's
// own layout. Merges are learned by frequency (Sennrich et al., 1508.07909) until every word is one
// token; a word counts as often as it is listed, ties fall in byte order, so the result depends on
// the words alone. Words are what the tokenizer calls a piece: letters only, or one digit, or marks
// only; case does not matter. kInvalidArgument names the word that is empty or would be cut into
// several pieces.
ClipTokenizer TrainVocabulary(const std::vector<std::string>& words, int model_max_length);

}  // namespace likeness
