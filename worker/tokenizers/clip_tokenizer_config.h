// What the JSON files beside a vocabulary say of a tokenizer.
#pragma once

#include <string>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/tokenizers/clip_tokenizer.h"

namespace likeness {

// Each an empty object where there is none.
struct TokenizerConfigs {
  nlohmann::json special_tokens_map, config, added_tokens, tokenizer = nlohmann::json::object();
};

// Special tokens, added words and the length of prompts; `longest` where none is stated.
// kFailedPrecondition for a value of the wrong type, and for an added token that is neither a
// special one nor a word as ClipTokenizer::Save writes it.
ClipTokenizerOptions TokenizerOptions(const TokenizerConfigs& files,
                                      const std::vector<std::string>& vocabulary, int longest);

// Null where it is not there.
nlohmann::json MemberOf(const nlohmann::json& object, const char* key);

}  // namespace likeness
