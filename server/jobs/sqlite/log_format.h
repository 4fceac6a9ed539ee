// SQLite's write-ahead log as it lies in its file: a header, then frames of one page each. See
// https://www.sqlite.org/fileformat2.html#the_write_ahead_log.
#pragma once

#include <cstdint>

#include "server/jobs/sqlite/page_sum.h"

namespace likeness::server {

inline constexpr int kLogHeaderBytes = 32;
inline constexpr int kFrameHeaderBytes = 24;
inline constexpr int kFrameSummed = 8;  // of a frame's header: page and size of the database
inline constexpr int kCommitAt = 4;     // in a frame's header: not 0 in a transaction's last frame
inline constexpr int kSumAt = 16;       // in a frame's header
inline constexpr int kLogSumAt = 24;    // in the log's header

inline constexpr int kLeastPage = 512;
inline constexpr int kLargestPage = 65'536;

inline bool IsPage(int64_t bytes) {
  return bytes >= kLeastPage && bytes <= kLargestPage && (bytes & (bytes - 1)) == 0;
}

}  // namespace likeness::server
