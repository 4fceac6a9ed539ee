#include "worker/jobs/outputs.h"

#include <utility>

#include "common/resource_names.h"
#include "worker/base/error.h"
#include "worker/support/files.h"

namespace likeness {
namespace {

const char* MediaTypeOf(const std::filesystem::path& file) {
  const auto extension = file.extension();
  if (extension == ".png") return "image/png";
  if (extension == ".jpg") return "image/jpeg";
  if (extension == ".json") return "application/json";
  if (extension == ".html") return "text/html";
  if (extension == ".txt" || extension == ".md") return "text/plain";
  return "application/octet-stream";
}

}  // namespace

v1::Output DescribeFile(const std::filesystem::path& file, v1::Output output) {
  return DescribeFile(file, FileDigest(file), std::move(output));
}

v1::Output DescribeFile(const std::filesystem::path& file, const std::string& sha256,
                        v1::Output output) {
  output.set_blob(BlobName{.sha256 = sha256}.ToString());
  output.set_size_bytes(static_cast<int64_t>(std::filesystem::file_size(file)));
  output.set_media_type(MediaTypeOf(file));
  return output;
}

std::string BlobOfJob(const v1::Job& job, const std::string& blob) {
  const auto name = ParseJobName(job.name());
  const auto bytes = ParseBlobName(blob);
  if (!name.ok() || !bytes.ok()) throw Error(ErrorKind::kInternal, "a job or blob has no name");
  return BlobName{name->tenant, bytes->sha256}.ToString();
}

}  // namespace likeness
