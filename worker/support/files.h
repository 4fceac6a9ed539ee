// Whole files: their bytes, their digests, which there are.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace likeness {

// SHA-256 of a file's bytes, in hex. Throws Error(kInternal) if it cannot be read.
std::string FileDigest(const std::filesystem::path& file);

// Regular files below a directory, sorted.
std::vector<std::filesystem::path> FilesBelow(const std::filesystem::path& directory);

// Throws Error(kInternal) if it cannot be read.
std::string ReadFile(const std::filesystem::path& file);
// Makes the directories that are missing. Throws Error(kDiskFull) if it cannot be written.
void WriteFile(const std::filesystem::path& file, const std::string& bytes);

}  // namespace likeness
