// For tests: the smallest networks with all parts of real ones, as files.
#pragma once

#include <filesystem>

namespace likeness {

// Writes tiny-dino, tiny-clip and tiny-lpips below `directory`; weights drawn from torch's default
// generator. They read pictures of 64 pixels; the CLIP's tokenizer knows single letters.
void WriteTinyEvaluators(const std::filesystem::path& directory);

}  // namespace likeness
