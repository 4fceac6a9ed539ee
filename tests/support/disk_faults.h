// A disk that fails, for a server as a process of its own. The library likeness_disk_faults, loaded
// by LD_PRELOAD, does to its calls what a file says, which may change at any moment: one fault a
// line, "KIND PART [ERRNO]", for every file whose path has PART in it:
//
//   fail-sync PART ERRNO    fsync fails, and what was written since the last one that did not is
//                           gone, as with a kernel that drops the pages it could not write
//   fail-next-sync PART ERRNO   the same of the next fsync alone
//   fail-write PART ERRNO   writing fails
//   fail-read PART ERRNO    reading fails
//   hang PART               writing and fsync do not return until the line is gone
//
// With LIKENESS_DISK_UNDO it also notes in a file how to take back what was not fsynced yet: see
// lose_unsynced in tests/faults/disk.py.
#pragma once

#include <cstdint>
#include <string>

namespace likeness::testing {

inline constexpr char kDiskFaults[] = "LIKENESS_DISK_FAULTS";  // the file of faults
inline constexpr char kDiskUndo[] = "LIKENESS_DISK_UNDO";      // may be missing
inline constexpr char kDiskRoot[] = "LIKENESS_DISK_ROOT";      // only files below it are concerned

// One step back, as the file of kDiskUndo holds them: this and `size` bytes.
struct UndoStep {
  enum Kind : uint32_t { kOverwritten = 1, kSynced = 2 };
  uint32_t kind;
  uint32_t size;  // of the bytes that stood at `offset`
  uint64_t inode;
  int64_t offset;
  int64_t size_before;  // of the file
};

// What a test holds: processes started in between have their files below `root` under it.
class DiskFaults {
 public:
  // `library` is likeness_disk_faults; `folder` holds the file of faults.
  DiskFaults(const std::string& library, const std::string& folder, const std::string& root);
  ~DiskFaults();  // processes started later have an ordinary disk; those under way keep this one

  void Set(const std::string& faults);  // one a line; "" for none

 private:
  const std::string path_;
};

// Turns one bit of a file over, where it lies.
void FlipBit(const std::string& path, int64_t offset, int bit = 0);

}  // namespace likeness::testing
