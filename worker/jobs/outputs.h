// Files as outputs of a job.
#pragma once

#include <filesystem>
#include <string>

#include "likeness/v1/job.pb.h"

namespace likeness {

// `output` with the file's blob name (of the default tenant: what describes files need not know
// whose they are), size and, by its extension, media type.
v1::Output DescribeFile(const std::filesystem::path& file, v1::Output output);
// The same of a file whose SHA-256, in hex, is known.
v1::Output DescribeFile(const std::filesystem::path& file, const std::string& sha256,
                        v1::Output output);

// The same bytes as a blob of the job's tenant.
std::string BlobOfJob(const v1::Job& job, const std::string& blob);

}  // namespace likeness
