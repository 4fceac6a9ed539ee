#include "worker/support/files.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "common/digest.h"
#include "worker/base/error.h"

namespace likeness {
namespace {

std::ifstream OpenToRead(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw Error(ErrorKind::kInternal, "cannot read " + file.filename().string());
  return in;
}

}  // namespace

std::string FileDigest(const std::filesystem::path& file) {
  auto in = OpenToRead(file);
  Sha256 digest;
  std::vector<char> chunk(1 << 20);
  while (in.read(chunk.data(), chunk.size()) || in.gcount() > 0) {
    digest.Update({chunk.data(), static_cast<size_t>(in.gcount())});
  }
  return digest.HexDigest();
}

std::vector<std::filesystem::path> FilesBelow(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string ReadFile(const std::filesystem::path& file) {
  auto in = OpenToRead(file);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return std::move(bytes).str();
}

void WriteFile(const std::filesystem::path& file, const std::string& bytes) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream out(file, std::ios::binary);
  out << bytes;
  out.close();
  if (!out) throw WriteError("writing " + file.filename().string(), errno);
}

}  // namespace likeness
