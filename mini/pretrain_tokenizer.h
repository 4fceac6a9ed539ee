// Stage `tokenizer`: the vocabulary of the miniature model.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "mini/pretrain.h"
#include "worker/tokenizers/clip_tokenizer.h"

namespace likeness::mini {

// Words of up to three letters that no caption holds, for tokens that name a subject: "sks", "zwx",
// ...
std::vector<std::string> RareWords();

// Every word the vocabulary must hold whole: the captions', everyday words that prompts may add,
// and rare words.
std::vector<std::string> VocabularyWords();

// Writes <directory>/tokenizer/.
void PretrainTokenizer(const PretrainOptions& options);

// Error (kFailedPrecondition) if PretrainTokenizer has not run.
ClipTokenizer LoadPretrainedTokenizer(const std::filesystem::path& directory);

}  // namespace likeness::mini
