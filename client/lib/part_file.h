// A file that appears only when it is whole.
#pragma once

#include <filesystem>
#include <stop_token>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace likeness::client {

// The file that a path names: that to which links lead, there or not. FAILED_PRECONDITION for what
// is there and is no file, such as a device: a rename would put a file in its place.
absl::StatusOr<std::filesystem::path> FileToWrite(const std::filesystem::path& path);

// What is to become the file at `path`, until then in `path`.part. One at a time: of several
// programs that write to the same path, the others wait. Errors carry no reason
// (common/rpc_error.h): this machine cannot hold the file.
class PartFile {
 public:
  // Of FileToWrite(path). Makes the folders and the file, or takes up what an earlier one left.
  // Waits for another that has it, until `stop`.
  static absl::StatusOr<PartFile> Open(const std::filesystem::path& path, std::stop_token stop);

  PartFile(PartFile&& other) noexcept;
  PartFile& operator=(PartFile&&) = delete;
  ~PartFile();

  const std::filesystem::path& path() const { return part_; }
  // Whether another had it first, so that the whole file may be there by now.
  bool waited() const { return waited_; }

  absl::Status Append(absl::string_view bytes);
  absl::Status Clear();
  absl::Status MoveIntoPlace();
  void Remove();

 private:
  PartFile(const std::filesystem::path& path, int file, bool waited);

  std::filesystem::path whole_;
  std::filesystem::path part_;
  int file_;
  bool waited_;
};

}  // namespace likeness::client
