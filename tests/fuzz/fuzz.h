// What the fuzz targets share: each is one function of bytes that must not crash, leak or break
// what it checks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/string_view.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace likeness::fuzz {

inline absl::string_view Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Ends the program, as a crash does, unless `holds`.
inline void Check(bool holds, absl::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", std::string(what).c_str());
  std::abort();
}

// A folder of the target's own, which goes away with it.
class Scratch {
 public:
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "likeness-XXXXXX").string();
    Check(mkdtemp(pattern.data()) != nullptr, "there is a temporary folder");
    path_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Hands out the input piece by piece.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : left_(Text(data, size)) {}

  bool empty() const { return left_.empty(); }
  uint8_t Byte() {
    const auto byte = static_cast<uint8_t>(left_.empty() ? 0 : left_[0]);
    left_.remove_prefix(left_.empty() ? 0 : 1);
    return byte;
  }
  absl::string_view Take(size_t count) {
    const absl::string_view piece = left_.substr(0, count);
    left_.remove_prefix(piece.size());
    return piece;
  }
  absl::string_view Rest() { return Take(left_.size()); }
  // Up to the next line's end.
  absl::string_view Line() {
    const size_t end = left_.find('\n');
    const absl::string_view line = Take(end == absl::string_view::npos ? left_.size() : end);
    left_.remove_prefix(left_.empty() ? 0 : 1);
    return line;
  }

 private:
  absl::string_view left_;
};

}  // namespace likeness::fuzz
