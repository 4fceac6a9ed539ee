// For tests: the smallest networks with all parts of real ones, as files.
#pragma once

#include <filesystem>

namespace likeness {

// Writes tiny-dino, tiny-clip, tiny-lpips and tiny-safety-checker, which objects to nothing, below
// `directory`; weights drawn from torch's default generator. They read pictures of 64 pixels; the
// CLIP's tokenizer knows single letters.
void WriteTinyEvaluators(const std::filesystem::path& directory);

}  // namespace likeness
