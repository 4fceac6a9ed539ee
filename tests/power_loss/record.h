// What the recorder writes and the test reads: one record after the other, each a Header, a path of
// `path_size` bytes, and `data_size` bytes. New directories, names and what is written are recorded
// before they are made, everything else once it is done: of a process that was killed, the last
// record may have come to nothing.
#pragma once

#include <cstdint>

namespace likeness::testing {

enum class Op : uint32_t {
  kFile = 1,       // a file came to be, or was first opened, at `path`; it has `number` bytes
  kWrite,          // `data` at `number`
  kTruncate,       // to `number` bytes
  kSync,           // fsync or fdatasync of the file
  kMakeDirectory,  // `path`
  kRename,         // from `path` to `data`
  kUnlink,         // `path`
  kSyncDirectory,  // `path`
  kFailed,         // the record before this came to nothing
};

struct Header {
  Op op;
  uint32_t path_size;
  uint64_t file;  // a number for each file, whatever its name
  uint64_t number;
  uint64_t data_size;
};

// The environment of the recorder.
inline constexpr char kRecordRoot[] = "LIKENESS_RECORD_ROOT";      // what lies below is recorded
inline constexpr char kRecordLog[] = "LIKENESS_RECORD_LOG";        // the file to write to
inline constexpr char kRecordForget[] = "LIKENESS_RECORD_FORGET";  // see recorder.cc
inline constexpr char kRecordHang[] =
    "LIKENESS_RECORD_HANG";  // while this file is there, the disk hangs

}  // namespace likeness::testing
