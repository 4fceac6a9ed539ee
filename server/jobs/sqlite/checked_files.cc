#include "server/jobs/sqlite/checked_files.h"

#include <sqlite3.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "common/logging.h"
#include "server/base/planted.h"
#include "server/base/storage_failure.h"
#include "server/jobs/sqlite/log_format.h"

namespace likeness::server {
namespace {

constexpr int kHeaderBytes = 100;  // of a database
constexpr int kPageSizeAt = 16;
constexpr int kReservedAt = 20;       // in it: how many bytes each page sets aside
constexpr size_t kMaxNoted = 10'000;  // damaged pages

enum class Kind { kDatabase, kPlainDatabase, kLog, kJournal };

// A file's methods with ours in place; `original` is what stands behind.
struct Methods {
  sqlite3_io_methods methods;  // first: a file's pointer to it is one to this
  const sqlite3_io_methods* original;
};

const sqlite3_io_methods& Original(sqlite3_file* file) {
  return *reinterpret_cast<const Methods*>(file->pMethods)->original;
}

std::atomic<int> unchecked_logs = 0;

std::mutex noted_mutex;
std::set<std::pair<bool, sqlite3_int64>>& Noted() {
  static auto& noted = *new std::set<std::pair<bool, sqlite3_int64>>;
  return noted;
}

int Damaged(bool in_log, sqlite3_int64 page) {
  if (Planted("damage-served")) return SQLITE_OK;
  bool fresh = false;
  {
    std::lock_guard lock(noted_mutex);
    fresh = Noted().size() < kMaxNoted && Noted().emplace(in_log, page).second;
  }
  if (fresh) {
    LogError("a page of the database is damaged on the disk",
             {{in_log ? "frame_of_log" : "page", static_cast<int64_t>(page)}});
  }
  return SQLITE_IOERR_DATA;
}

bool IsWhole(const unsigned char* page, int size) {
  Sum sum;
  sum.Add(page, size - kChecksumBytes);
  unsigned char expected[kChecksumBytes];
  sum.Write(expected);
  return std::memcmp(expected, page + size - kChecksumBytes, kChecksumBytes) == 0;
}

int ReadPage(sqlite3_file* file, void* to, int size, sqlite3_int64 offset) {
  const int code = Original(file).xRead(file, to, size, offset);
  if (!IsPage(size)) return code;
  const sqlite3_int64 page = offset / size + 1;
  if (code == SQLITE_IOERR_SHORT_READ) return Damaged(false, page);  // the file was cut
  if (code != SQLITE_OK) return code;
  return IsWhole(static_cast<const unsigned char*>(to), size) ? SQLITE_OK : Damaged(false, page);
}

// Whether a frame of the log, header and page of `size` bytes, has the sum that follows from the
// one before it.
bool FollowsFrom(const Sum& before, const unsigned char* frame, int size, bool big_endian) {
  Sum sum = before;
  sum.Add(frame, kFrameSummed, big_endian);
  sum.Add(frame + kFrameHeaderBytes, size, big_endian);
  return sum == Sum::OfLog(frame + kSumAt);
}

// The log's header says how its sums are made: as suits the processor that began it.
bool IsBigEndian(sqlite3_file* log) {
  unsigned char header[kLogHeaderBytes];
  return Original(log).xRead(log, header, kLogHeaderBytes, 0) == SQLITE_OK &&
         (BigEndian(header) & 1) != 0;
}

// Each frame's sum goes on from that of the frame before, which stands in its header; the first
// one's from that in the log's. Readers come here for every page that was changed lately, so it is
// read together with its header, and the log's header is asked last.
int ReadFrame(sqlite3_file* file, void* to, int size, sqlite3_int64 offset) {
  const int frame_bytes = size + kFrameHeaderBytes;
  const sqlite3_int64 header_at = offset - kFrameHeaderBytes;
  const bool is_frame = IsPage(size) && (header_at - kLogHeaderBytes) % frame_bytes == 0;
  if (!is_frame || unchecked_logs > 0) return Original(file).xRead(file, to, size, offset);
  unsigned char frame[kFrameHeaderBytes + kLargestPage];
  if (const int code = Original(file).xRead(file, frame, frame_bytes, header_at);
      code != SQLITE_OK) {
    return code == SQLITE_IOERR_SHORT_READ ? Original(file).xRead(file, to, size, offset) : code;
  }
  std::memcpy(to, frame + kFrameHeaderBytes, static_cast<size_t>(size));
  unsigned char before[8];
  const bool first = header_at == kLogHeaderBytes;
  const sqlite3_int64 before_at = first ? kLogSumAt : header_at - frame_bytes + kSumAt;
  if (Original(file).xRead(file, before, sizeof(before), before_at) != SQLITE_OK) {
    return Damaged(true, header_at / frame_bytes + 1);
  }
  const Sum sum = Sum::OfLog(before);
  if (FollowsFrom(sum, frame, size, false)) return SQLITE_OK;
  if (IsBigEndian(file) && FollowsFrom(sum, frame, size, true)) return SQLITE_OK;
  return Damaged(true, header_at / frame_bytes + 1);
}

int LastError(sqlite3_file* file) {
  int error = 0;
  Original(file).xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error);
  return error;
}

// A full disk is no failure: nothing was lost, and SQLite undoes the transaction.
int Write(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
  const int code = Original(file).xWrite(file, from, size, offset);
  if (code == SQLITE_OK || code == SQLITE_FULL) return code;
  const int error = LastError(file);
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) return SQLITE_FULL;
  EndAfterStorageFailure("a write to the database", error);
}

int WritePage(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
  if (!IsPage(size)) return Write(file, from, size, offset);
  unsigned char page[kLargestPage];
  std::memcpy(page, from, static_cast<size_t>(size));
  Sum sum;
  sum.Add(page, size - kChecksumBytes);
  sum.Write(page + size - kChecksumBytes);
  return Write(file, page, size, offset);
}

int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  const int code = Original(file).xTruncate(file, size);
  if (code != SQLITE_OK && LastError(file) == EIO) {
    EndAfterStorageFailure("shortening a file of the database", EIO);
  }
  return code;
}

// Even where the disk is full: the pages may be gone, and the next fsync would say nothing of it.
int Sync(sqlite3_file* file, int flags) {
  const int code = Original(file).xSync(file, flags);
  if (code != SQLITE_OK) EndAfterStorageFailure("an fsync of the database", LastError(file));
  return code;
}

int Fetch(sqlite3_file*, sqlite3_int64, int, void** page) {
  *page = nullptr;  // no page is read past us
  return SQLITE_OK;
}

// One table for each kind of each file system's files; they stay.
const sqlite3_io_methods* MethodsFor(const sqlite3_io_methods* original, Kind kind) {
  static std::mutex mutex;
  static auto& all = *new std::map<std::pair<const void*, Kind>, std::unique_ptr<Methods>>;
  std::lock_guard lock(mutex);
  std::unique_ptr<Methods>& ours = all[{original, kind}];
  if (!ours) {
    ours = std::make_unique<Methods>(Methods{*original, original});
    ours->methods.xWrite = kind == Kind::kDatabase ? &WritePage : &Write;
    if (kind == Kind::kDatabase) ours->methods.xRead = &ReadPage;
    if (kind == Kind::kLog) ours->methods.xRead = &ReadFrame;
    ours->methods.xTruncate = &Truncate;
    ours->methods.xSync = &Sync;
    ours->methods.xFetch = &Fetch;
  }
  return &ours->methods;
}

// Whoever is about to make a database gives it checksums. Read through SQLite's own descriptor: to
// open and close another would give up the process's locks.
//
// The header itself may be damaged. One without the bytes set aside is believed only if its page
// would not be whole with them.
Kind KindOf(sqlite3_file* database) {
  unsigned char page[kLargestPage] = {};
  const auto& methods = *database->pMethods;
  if (methods.xRead(database, page, kHeaderBytes, 0) != SQLITE_OK) return Kind::kDatabase;
  const int size = page[kPageSizeAt] << 8 | page[kPageSizeAt + 1];
  if (page[kReservedAt] != 0 || !IsPage(size) ||
      methods.xRead(database, page, size, 0) != SQLITE_OK) {
    return Kind::kDatabase;
  }
  page[kReservedAt] = kChecksumBytes;
  return IsWhole(page, size) ? Kind::kDatabase : Kind::kPlainDatabase;
}

sqlite3_vfs* Plain() {
  static sqlite3_vfs* const plain = sqlite3_vfs_find("unix");
  return plain;
}

int Open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  const int code = Plain()->xOpen(Plain(), name, file, flags, out_flags);
  if (code != SQLITE_OK) return code;
  if ((flags & SQLITE_OPEN_MAIN_DB) != 0) {
    file->pMethods = MethodsFor(file->pMethods, KindOf(file));
  } else if ((flags & SQLITE_OPEN_WAL) != 0) {
    file->pMethods = MethodsFor(file->pMethods, Kind::kLog);
  } else if ((flags & SQLITE_OPEN_MAIN_JOURNAL) != 0) {
    file->pMethods = MethodsFor(file->pMethods, Kind::kJournal);
  }
  return SQLITE_OK;
}

}  // namespace

const char* CheckedFiles() {
  static const sqlite3_vfs* const checked = [] {
    sqlite3_initialize();
    auto* vfs = new sqlite3_vfs(*Plain());
    vfs->zName = "likeness";
    vfs->pNext = nullptr;
    vfs->xOpen = &Open;
    sqlite3_vfs_register(vfs, /*makeDflt=*/0);
    return vfs;
  }();
  return checked->zName;
}

bool HasChecksums(sqlite3* connection) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  return file != nullptr && file->pMethods != nullptr && file->pMethods->xWrite == &WritePage;
}

UncheckedLogs::UncheckedLogs() { ++unchecked_logs; }
UncheckedLogs::~UncheckedLogs() { --unchecked_logs; }

int64_t CountDamagedPages() {
  std::lock_guard lock(noted_mutex);
  return static_cast<int64_t>(Noted().size());
}

}  // namespace likeness::server
