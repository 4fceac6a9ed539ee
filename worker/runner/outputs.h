// Files as outputs of a job.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "likeness/v1/job.pb.h"

namespace likeness {

// SHA-256 of a file's bytes, in hex. Throws Error(kInternal) if it cannot be read.
std::string FileDigest(const std::filesystem::path& file);

// `output` with the file's blob name (of the default tenant: what describes files need not know
// whose they are), size and, by its extension, media type.
v1::Output DescribeFile(const std::filesystem::path& file, v1::Output output);

// The same bytes as a blob of the job's tenant.
std::string BlobOfJob(const v1::Job& job, const std::string& blob);

// Regular files below a directory, sorted.
std::vector<std::filesystem::path> FilesBelow(const std::filesystem::path& directory);

std::string ReadFile(const std::filesystem::path& file);
void WriteFile(const std::filesystem::path& file, const std::string& bytes);

}  // namespace likeness
