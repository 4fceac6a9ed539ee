// A picture as its file holds it, between the decoders of this room and what makes an Image of it.
#pragma once

#include <opencv2/core.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace likeness {

struct DecodedFile {
  // 1 (grey), 3 (R G B) or 4 (C M Y K, 0: no ink) channels of 8 or 16 bits.
  cv::Mat colours;
  cv::Mat alpha;                  // one channel of the same depth; empty: opaque
  std::string colour_profile;     // ICC; empty: none
  bool profile_unusable = false;  // there is one, but it cannot be had
  // What a person should know of a file that can be used all the same: "3 bytes were skipped".
  std::vector<std::string> warnings;
};

// These throw Error (kInvalidArgument) for a file whose pixels cannot be had whole; the bytes have
// passed CheckPhoto (common/image_header.h). What the libraries say goes to the log.
DecodedFile DecodeJpeg(std::string_view bytes);
DecodedFile DecodePng(std::string_view bytes);
DecodedFile DecodeWebp(std::string_view bytes);

// For the decoders: logs the first few of a library's lines, of which a damaged file can cause
// thousands.
class DecoderLog {
 public:
  explicit DecoderLog(const char* library) : library_(library) {}
  void Add(const char* line);

 private:
  static constexpr int kMostLines = 8;
  const char* library_;
  int lines_ = 0;
};

}  // namespace likeness
