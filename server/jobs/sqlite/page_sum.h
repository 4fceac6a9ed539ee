// The checksum of SQLite's file format, of pages and of the log's frames: two sums over words of 32
// bits, each with the other in it.
#pragma once

#include <cstdint>

namespace likeness::server {

struct Sum {
  uint32_t first = 0;
  uint32_t second = 0;

  // `size` is a multiple of 8, 64 KiB at most. The words are the processor's own, or big-endian.
  void Add(const unsigned char* bytes, int size, bool big_endian = false);
  // As a page carries it, in 8 bytes.
  void Write(unsigned char* to) const;
  // As the log carries it, in 8 bytes.
  static Sum OfLog(const unsigned char* from);
  bool operator==(const Sum&) const = default;
};

uint32_t BigEndian(const unsigned char* bytes);

}  // namespace likeness::server
