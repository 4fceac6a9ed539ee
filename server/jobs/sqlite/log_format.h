// SQLite's write-ahead log as it lies in its file: a header, then frames of one page each. See
// https://www.sqlite.org/fileformat2.html#the_write_ahead_log.
#pragma once

#include <cstdint>
#include <cstring>

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

inline uint32_t BigEndian(const unsigned char* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

// The checksum of SQLite's file format: two sums over words of 32 bits, each with the other in it.
struct Sum {
  uint32_t first = 0;
  uint32_t second = 0;

  // `size` is a multiple of 8.
  void Add(const unsigned char* bytes, int size, bool big_endian = false) {
    for (int i = 0; i < size; i += 8) {
      uint32_t words[2];
      std::memcpy(words, bytes + i, sizeof(words));
      if (big_endian) words[0] = BigEndian(bytes + i), words[1] = BigEndian(bytes + i + 4);
      first += words[0] + second;
      second += words[1] + first;
    }
  }
  // As a page carries it.
  void Write(unsigned char* to) const {
    std::memcpy(to, &first, 4);
    std::memcpy(to + 4, &second, 4);
  }
  // As the log carries it.
  static Sum OfLog(const unsigned char* from) { return {BigEndian(from), BigEndian(from + 4)}; }
  bool operator==(const Sum&) const = default;
};

}  // namespace likeness::server
