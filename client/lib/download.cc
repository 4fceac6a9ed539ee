#include "client/lib/download.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "client/lib/part_file.h"
#include "client/lib/stopped.h"
#include "common/digest.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

namespace fs = std::filesystem;

// Feeds the file's bytes to `digest`; returns how many there are, 0 if there is no file.
int64_t HashFile(const fs::path& path, Sha256& digest) {
  std::ifstream file(path, std::ios::binary);
  std::string buffer(1 << 20, '\0');
  int64_t size = 0;
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount()) {
    digest.Update(absl::string_view(buffer.data(), file.gcount()));
    size += file.gcount();
  }
  return size;
}

bool HasDigest(const fs::path& path, const std::string& sha256) {
  Sha256 digest;
  std::error_code error;
  return fs::is_regular_file(path, error) && (HashFile(path, digest), digest.HexDigest() == sha256);
}

// One stream: appends to `part` what comes from `offset` on, and moves `offset` along.
absl::Status ReadFrom(const Connection& connection, const std::string& blob, PartFile& part,
                      int64_t& offset, Sha256& digest, std::stop_token stop) {
  grpc::ClientContext context;
  std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  google::bytestream::ReadRequest request;
  request.set_resource_name(blob);
  request.set_read_offset(offset);
  auto stream = connection.byte_stream().Read(&context, request);
  google::bytestream::ReadResponse response;
  while (stream->Read(&response)) {
    const std::string& data = response.data();
    const absl::Status written = part.Append(data);
    if (!written.ok()) {
      context.TryCancel();
      return written;
    }
    digest.Update(data);
    offset += static_cast<int64_t>(data.size());
  }
  return FromGrpcStatus(stream->Finish());
}

// "rex/0000-2.png"
fs::path Numbered(const fs::path& path, int number) {
  fs::path numbered = path;
  return numbered.replace_filename(
      absl::StrCat(path.stem().string(), "-", number, path.extension().string()));
}

}  // namespace

absl::StatusOr<Place> PlaceFor(const fs::path& path, const std::string& sha256, Existing existing) {
  constexpr int kMostNames = 10'000;
  if (existing == Existing::kReplace) {
    RETURN_IF_ERROR(FileToWrite(path).status());
    return Place{.path = path};
  }
  const int names = existing == Existing::kKeep ? kMostNames : 2;
  for (int number = 1; number < names; ++number) {
    const fs::path place = number == 1 ? path : Numbered(path, number);
    std::error_code error;
    if (!fs::exists(fs::symlink_status(place, error))) return Place{.path = place};
    if (HasDigest(place, sha256)) return Place{.path = place, .filled = true};
  }
  return absl::AlreadyExistsError(
      absl::StrCat(path.string(), " is there already, and holds something else."));
}

absl::Status DownloadBlob(const Connection& connection, const std::string& blob,
                          const fs::path& path, std::stop_token stop,
                          const BackoffOptions& options) {
  ASSIGN_OR_RETURN(auto name, ParseBlobName(blob, "blob"));
  if (HasDigest(path, name.sha256)) return absl::OkStatus();
  ASSIGN_OR_RETURN(PartFile part, PartFile::Open(path, stop));
  if (part.waited() && HasDigest(path, name.sha256)) {
    part.Remove();
    return absl::OkStatus();
  }
  Sha256 digest;
  int64_t offset = HashFile(part.path(), digest);
  Backoff backoff(options);
  while (true) {
    const int64_t before = offset;
    auto status = ReadFrom(connection, blob, part, offset, digest, stop);
    if (status.ok()) break;
    if (absl::IsOutOfRange(status)) break;  // more is there than the blob has: the digest will tell
    if (offset > before) backoff.Reset();
    if (!backoff.WaitAfter(status, stop)) return OrStopped(status, stop);
  }
  if (digest.HexDigest() != name.sha256) {
    part.Remove();
    return absl::DataLossError(absl::StrCat(path.string(), ": ", offset,
                                            " bytes arrived, but not those of digest ", name.sha256,
                                            ". The partial file was removed; download it again."));
  }
  return part.MoveIntoPlace();
}

absl::Status WriteFileWhole(const fs::path& path, absl::string_view bytes) {
  ASSIGN_OR_RETURN(PartFile part, PartFile::Open(path, /*stop=*/{}));
  RETURN_IF_ERROR(part.Clear());
  const absl::Status written = part.Append(bytes);
  if (written.ok()) return part.MoveIntoPlace();
  part.Remove();
  return written;
}

absl::StatusOr<fs::path> OutputFile(const fs::path& folder, const std::string& output_path) {
  fs::path relative = fs::path(output_path).lexically_normal();
  bool leaves = relative.empty() || relative.is_absolute() || *relative.begin() == ".." ||
                !relative.has_filename();
  if (leaves || relative == ".") {
    return absl::InvalidArgumentError(
        absl::StrCat("The server names an output '", output_path,
                     "', which is not a path inside the job's folder. It was not written."));
  }
  return folder / relative;
}

}  // namespace likeness::client
