#include "server/jobs/sqlite/log_check.h"

#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/blobs/filesystem/file.h"
#include "server/jobs/sqlite/log_format.h"

namespace likeness::server {
namespace {

constexpr uint32_t kMagic = 0x377f0682;  // with 1 more: sums of words with the high byte first
constexpr int kLogPageSizeAt = 8;
constexpr int kSaltsAt = 16;      // in the log's header
constexpr int kFrameSaltsAt = 8;  // in a frame's header
constexpr int kSaltsBytes = 8;

const unsigned char* AsBytes(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

struct LogHeader {
  int page_size;
  bool big_endian;
  std::string salts;
  Sum sum;
};

std::optional<LogHeader> ParseHeader(const std::string& bytes) {
  const unsigned char* header = AsBytes(bytes);
  const uint32_t magic = BigEndian(header);
  const uint32_t page_size = BigEndian(header + kLogPageSizeAt);
  if ((magic & ~uint32_t{1}) != kMagic || !IsPage(page_size)) return std::nullopt;
  const bool big_endian = (magic & 1) != 0;
  Sum sum;
  sum.Add(header, kLogSumAt, big_endian);
  if (sum != Sum::OfLog(header + kLogSumAt)) return std::nullopt;
  return LogHeader{static_cast<int>(page_size), big_endian, bytes.substr(kSaltsAt, kSaltsBytes),
                   sum};
}

struct Findings {
  int64_t frames = 0;
  std::optional<int64_t> first_bad;  // counted from 1
  bool damaged = false;              // something was committed behind it
  bool ends_torn = false;            // a frame of this log stands there, or behind, all the same
};

absl::StatusOr<Findings> LookThrough(const File& file, const LogHeader& log, int64_t size) {
  const int64_t frame_bytes = kFrameHeaderBytes + log.page_size;
  Findings found;
  found.frames = (size - kLogHeaderBytes) / frame_bytes;
  Sum before = log.sum;  // as the frame before carries it
  bool after_commit = false;
  for (int64_t number = 1; number <= found.frames; ++number) {
    const int64_t at = kLogHeaderBytes + (number - 1) * frame_bytes;
    ASSIGN_OR_RETURN(const std::string frame, file.ReadAt(at, frame_bytes));
    if (std::ssize(frame) < frame_bytes) break;
    const unsigned char* bytes = AsBytes(frame);
    Sum sum = before;
    sum.Add(bytes, kFrameSummed, log.big_endian);
    sum.Add(bytes + kFrameHeaderBytes, log.page_size, log.big_endian);
    before = Sum::OfLog(bytes + kSumAt);
    const bool of_this_log = frame.compare(kFrameSaltsAt, kSaltsBytes, log.salts) == 0;
    const bool whole = of_this_log && BigEndian(bytes) != 0 && sum == before;
    if (!whole && !found.first_bad) found.first_bad = number;
    if (found.first_bad && of_this_log) found.ends_torn = true;
    if (found.first_bad && whole && after_commit) found.damaged = true;
    after_commit = BigEndian(bytes + kCommitAt) != 0;
  }
  return found;
}

absl::Status DamagedLog(absl::string_view where, int64_t cut_at) {
  LogError("the log of the database is damaged on the disk", {{"where", where}});
  return RpcError(
      absl::StatusCode::kDataLoss, "STORE_DAMAGED",
      absl::StrCat("jobs.sqlite-wal is damaged on the disk (", where,
                   "), and what was committed after that cannot be read; restore the last backup, "
                   "or cut the file to ",
                   cut_at, " bytes to go on without it"));
}

}  // namespace

absl::Status CheckLog(const std::string& path) {
  const std::string name = path + "-wal";
  if (FileSize(name).value_or(0) <= kLogHeaderBytes) return absl::OkStatus();
  ASSIGN_OR_RETURN(const File file, File::OpenForReading(name));
  ASSIGN_OR_RETURN(const std::string bytes, file.ReadAt(0, kLogHeaderBytes));
  if (bytes.size() < kLogHeaderBytes) return absl::OkStatus();
  const std::optional<LogHeader> log = ParseHeader(bytes);
  ASSIGN_OR_RETURN(const int64_t size, file.Size());
  Findings found;
  if (log) {
    ASSIGN_OR_RETURN(found, LookThrough(file, *log, size));
  }
  // A process that has the database open may have begun the log anew meanwhile.
  ASSIGN_OR_RETURN(const std::string again, file.ReadAt(0, kLogHeaderBytes));
  if (again != bytes) return absl::OkStatus();
  if (!log) return DamagedLog("its header", 0);
  if (found.damaged) {
    return DamagedLog(
        absl::StrCat("frame ", *found.first_bad, " of ", found.frames),
        kLogHeaderBytes + (*found.first_bad - 1) * (kFrameHeaderBytes + log->page_size));
  }
  if (found.ends_torn) {
    LogWarning(
        "the last transaction in the log of the database is not whole and is left out: it "
        "was being written when the process or the machine stopped, or it is damaged",
        {{"frame_of_log", *found.first_bad}, {"frames", found.frames}});
  }
  return absl::OkStatus();
}

}  // namespace likeness::server
