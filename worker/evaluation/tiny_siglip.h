// A SigLIP with random weights for tests, as files.
#pragma once

#include <filesystem>

namespace likeness {

// From torch's generator: reads 64 x 64 pixels in 16 patches, and prompts of letters, up to 16.
void WriteTinySiglip(const std::filesystem::path& directory);

}  // namespace likeness
