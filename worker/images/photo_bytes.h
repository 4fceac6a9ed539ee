// Files for tests, made in code: OpenCV encodes the good ones, bytes put together by hand make the
// bad ones.
#pragma once

#include <opencv2/imgcodecs.hpp>
#include <string>
#include <vector>

namespace likeness {

// `bgr` (or grey, or BGRA; 8 or 16 bits) as a file of the format that the extension names.
inline std::string FileOf(const cv::Mat& bgr, const char* extension,
                          const std::vector<int>& settings = {}) {
  std::vector<uint8_t> bytes;
  cv::imencode(extension, bgr, bytes, settings);
  return {bytes.begin(), bytes.end()};
}

// A picture whose four quarters differ: blue, green / red, white.
inline cv::Mat3b Quarters(int width, int height) {
  cv::Mat3b mat(height, width, cv::Vec3b(255, 255, 255));
  const cv::Rect quarter(0, 0, width / 2, height / 2);
  mat(quarter).setTo(cv::Scalar(255, 0, 0));
  mat(quarter + cv::Point(width / 2, 0)).setTo(cv::Scalar(0, 255, 0));
  mat(quarter + cv::Point(0, height / 2)).setTo(cv::Scalar(0, 0, 255));
  return mat;
}

inline std::string BigEndian32(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

inline std::string LittleEndian32(uint32_t value) {
  std::string bytes = BigEndian32(value);
  return {bytes.rbegin(), bytes.rend()};
}

// TIFF with one directory of one entry: the orientation.
inline std::string OrientationTiff(int orientation, bool little_endian = false) {
  std::string tiff = little_endian
                         ? std::string("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 18)
                         : std::string("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01", 18);
  const char value = static_cast<char>(orientation);
  tiff += little_endian ? std::string{value, 0, 0, 0} : std::string{0, value, 0, 0};
  return tiff + std::string(4, '\0');
}

// Puts a segment at the beginning of a JPEG file.
inline std::string WithJpegSegment(const std::string& jpeg, char marker, const std::string& data) {
  return jpeg.substr(0, 2) + "\xFF" + marker + BigEndian32(data.size() + 2).substr(2) + data +
         jpeg.substr(2);
}

inline std::string WithJpegExif(const std::string& jpeg, const std::string& tiff) {
  return WithJpegSegment(jpeg, '\xE1', std::string("Exif\0\0", 6) + tiff);
}

// Puts a chunk at the end of a WebP file.
inline std::string WithWebpChunk(const std::string& webp, const std::string& type,
                                 const std::string& data) {
  const std::string chunks = webp.substr(8) + type + LittleEndian32(data.size()) + data +
                             std::string(data.size() % 2, '\0');
  return webp.substr(0, 4) + LittleEndian32(chunks.size()) + chunks;
}

// A PNG chunk. The checksum is CRC-32 (PNG 1.2, annex D).
inline std::string PngChunk(const std::string& type, const std::string& data) {
  uint32_t crc = 0xFFFFFFFF;
  for (const char c : type + data) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
  }
  return BigEndian32(data.size()) + type + data + BigEndian32(~crc);
}

// Puts a chunk behind IHDR.
inline std::string WithPngChunk(const std::string& png, const std::string& chunk) {
  constexpr size_t kBehindHeader = 33;
  return png.substr(0, kBehindHeader) + chunk + png.substr(kBehindHeader);
}

// The head of a PNG that declares a size and holds no pixels.
inline std::string PngDeclaring(uint32_t width, uint32_t height) {
  return "\x89PNG\r\n\x1A\n" +
         PngChunk("IHDR",
                  BigEndian32(width) + BigEndian32(height) + std::string("\x08\x02\0\0\0", 5)) +
         PngChunk("IEND", "");
}

}  // namespace likeness
