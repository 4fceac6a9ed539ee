// The files of a database, as SQLite sees them (a VFS): every page carries a checksum, which is
// compared when the page is read; and a write or an fsync that fails ends the process, since SQLite
// would try it again.
//
// The checksums are those of SQLite's own cksumvfs, in the last 8 bytes of each page, which the
// database sets aside. What SQLite reads of the write-ahead log is held against the checksums that
// the log has anyway, and that SQLite itself looks at only after a crash.
#pragma once

#include <sqlite3.h>

#include <cstdint>

namespace likeness::server {

// Bytes at the end of each page that SQLite must not use.
inline constexpr int kChecksumBytes = 8;

// The name of the VFS, for sqlite3_open_v2. A page that is not what was written is
// SQLITE_IOERR_DATA, and so is one that the file is too short for. In a database that does not set
// the bytes aside, pages are not checked.
const char* CheckedFiles();

// Whether the pages of a connection's database have checksums.
bool HasChecksums(sqlite3* connection);

// As long as it lives no log is checked: a transaction that is larger than SQLite's cache writes
// pages to the log more than once, and sums them up only at its end.
class UncheckedLogs {
 public:
  UncheckedLogs();
  ~UncheckedLogs();
  UncheckedLogs(const UncheckedLogs&) = delete;
};

// Pages of databases and their logs that were found damaged since the process began, each once.
int64_t CountDamagedPages();

}  // namespace likeness::server
