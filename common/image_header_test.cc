#include "common/image_header.h"

#include <zlib.h>

#include "common/rpc_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace likeness {
namespace {

std::string Bytes(std::initializer_list<int> values) {
  std::string bytes;
  for (int value : values) bytes.push_back(static_cast<char>(value));
  return bytes;
}

std::string BigEndian(uint32_t value, int count) {
  std::string bytes;
  for (int shift = 8 * (count - 1); shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(value >> shift));
  }
  return bytes;
}

std::string LittleEndian(uint32_t value, int count) {
  const std::string bytes = BigEndian(value, count);
  return {bytes.rbegin(), bytes.rend()};
}

// Start, an APP1 segment as cameras write it, a frame header, a scan, the end.
std::string Jpeg(int width, int height, int frame_marker = 0xC0) {
  return Bytes({0xFF, 0xD8, 0xFF, 0xE1, 0, 8}) + "Exif" + std::string(2, '\0') +
         Bytes({0xFF, 0xFF, frame_marker, 0, 11, 8}) + BigEndian(height, 2) + BigEndian(width, 2) +
         Bytes({1, 1, 0x11, 0}) + Bytes({0xFF, 0xDA, 0, 2, 1, 2, 3}) + Bytes({0xFF, 0xD9});
}

std::string Chunk(const std::string& type, const std::string& data) {
  const std::string summed = type + data;
  const auto sum = crc32_z(0, reinterpret_cast<const Bytef*>(summed.data()), summed.size());
  return BigEndian(static_cast<uint32_t>(data.size()), 4) + summed +
         BigEndian(static_cast<uint32_t>(sum), 4);
}

std::string Png(uint32_t width, uint32_t height, const std::string& more = "") {
  return "\x89PNG\r\n\x1A\n" +
         Chunk("IHDR", BigEndian(width, 4) + BigEndian(height, 4) + Bytes({8, 2, 0, 0, 0})) + more +
         Chunk("IDAT", "pixels") + Chunk("IEND", "");
}

std::string WebP(const std::string& type, const std::string& data) {
  const std::string chunk =
      "WEBP" + type + LittleEndian(static_cast<uint32_t>(data.size()), 4) + data;
  return "RIFF" + LittleEndian(static_cast<uint32_t>(chunk.size()), 4) + chunk;
}

std::string ExtendedWebP(int width, int height, int flags = 0) {
  return WebP("VP8X",
              Bytes({flags, 0, 0, 0}) + LittleEndian(width - 1, 3) + LittleEndian(height - 1, 3));
}

void ExpectSize(const std::string& bytes, ImageFormat format, int64_t width, int64_t height) {
  const auto header = ReadImageHeader(bytes);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->format, format);
  EXPECT_EQ(header->width, width);
  EXPECT_EQ(header->height, height);
  EXPECT_TRUE(header->complete);
  EXPECT_FALSE(header->animated);
  EXPECT_TRUE(CheckPhoto(bytes).ok()) << CheckPhoto(bytes);
}

std::string Reason(const std::string& bytes) { return ErrorReason(CheckPhoto(bytes)); }

TEST(ImageHeaderTest, SizesAreReadFromEveryFormat) {
  ExpectSize(Jpeg(640, 480), ImageFormat::kJpeg, 640, 480);
  ExpectSize(Jpeg(640, 480, 0xC2), ImageFormat::kJpeg, 640, 480);  // progressive
  ExpectSize(Png(300, 200), ImageFormat::kPng, 300, 200);
  ExpectSize(ExtendedWebP(300, 200), ImageFormat::kWebp, 300, 200);
  ExpectSize(
      WebP("VP8L", Bytes({0x2F}) + LittleEndian((299) | (199 << 14), 4) + std::string(10, '\0')),
      ImageFormat::kWebp, 300, 200);
  ExpectSize(WebP("VP8 ",
                  Bytes({0, 0, 0, 0x9D, 0x01, 0x2A}) + LittleEndian(300, 2) + LittleEndian(200, 2)),
             ImageFormat::kWebp, 300, 200);
}

TEST(ImageHeaderTest, HuffmanTablesAreNotTakenForAFrame) {
  EXPECT_EQ(Reason(Jpeg(640, 480, 0xC4)), "PHOTO_NOT_AN_IMAGE");
}

TEST(ImageHeaderTest, DeclaredSizeIsLimited) {
  EXPECT_EQ(Reason(Png(60'000, 60'000)), "PHOTO_TOO_LARGE");
  EXPECT_EQ(Reason(Png(0xFFFFFFFF, 0xFFFFFFFF)), "PHOTO_TOO_LARGE");
  EXPECT_EQ(Reason(Png(kMaxPhotoSide, kMaxPhotoSide)), "PHOTO_TOO_LARGE") << "too many pixels";
  EXPECT_EQ(Reason(Png(kMaxPhotoSide, 32)), "");
  EXPECT_EQ(Reason(Jpeg(31, 640)), "PHOTO_TOO_SMALL");
  EXPECT_EQ(Reason(Jpeg(32, 32)), "");
  EXPECT_EQ(Reason(Png(0, 0)), "PHOTO_TOO_SMALL");
}

TEST(ImageHeaderTest, AnimationsAreRefused) {
  EXPECT_EQ(Reason(Png(64, 64, Chunk("acTL", std::string(8, '\0')))), "PHOTO_ANIMATED");
  EXPECT_EQ(Reason(ExtendedWebP(64, 64, 0x02)), "PHOTO_ANIMATED");
}

TEST(ImageHeaderTest, EveryCutIsNoticed) {
  for (const std::string& whole : {Jpeg(64, 64), Png(64, 64), ExtendedWebP(64, 64)}) {
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_NE(Reason(whole.substr(0, size)), "") << size << " of " << whole.size();
    }
  }
}

TEST(ImageHeaderTest, FlippedBitOfAPngIsNoticedWhereItMatters) {
  const std::string whole = Png(64, 64, Chunk("tEXt", "a comment"));
  for (size_t at = 29; at < whole.size(); ++at) {  // behind the size
    std::string flipped = whole;
    flipped[at] ^= 4;
    const bool in_comment = at >= 37 && at < 33 + 12 + 9;  // its length apart
    EXPECT_EQ(Reason(flipped).empty(), in_comment) << at;
  }
}

TEST(ImageHeaderTest, WhatFollowsTheEndOfAPngDoesNotMatter) {
  EXPECT_EQ(Reason(Png(64, 64) + BigEndian(4, 4) + "ABCDtrailing bytes"), "");
}

TEST(ImageHeaderTest, WebpThatWasCutIsNoticedThoughItsHeaderWasMended) {
  const std::string whole =
      WebP("VP8L", Bytes({0x2F}) + LittleEndian(299 | (199 << 14), 4) + std::string(100, '\1'));
  ASSERT_EQ(Reason(whole), "");
  std::string cut = whole.substr(0, whole.size() - 20);
  cut.replace(4, 4, LittleEndian(static_cast<uint32_t>(cut.size() - 8), 4));
  EXPECT_EQ(Reason(cut), "PHOTO_TRUNCATED");
}

TEST(ImageHeaderTest, LengthsThatLeadOutOfTheFileEnd) {
  std::string png = Png(64, 64);
  png.replace(33, 4, "\xFF\xFF\xFF\xFF");  // IDAT's length
  EXPECT_EQ(Reason(png), "PHOTO_TRUNCATED");
  EXPECT_EQ(Reason(Bytes({0xFF, 0xD8, 0xFF, 0xE1, 0xFF, 0xFF, 1, 2})), "PHOTO_TRUNCATED");
  EXPECT_EQ(Reason(Bytes({0xFF, 0xD8, 0xFF, 0xE1, 0, 0, 1, 2})), "PHOTO_NOT_AN_IMAGE");
}

TEST(ImageHeaderTest, KnownFormatsAreNamed) {
  const auto file = [](const std::string& brand) {
    return std::string("\0\0\0\x18", 4) + "ftyp" + brand + std::string(12, '\0');
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {file("heic"), "HEIC"}, {file("mif1"), "HEIC"},
      {file("avif"), "AVIF"}, {file("isom"), "MP4"},
      {"GIF89a", "GIF"},      {"BM......", "BMP"},
      {"%PDF-1.7", "PDF"},    {std::string("II*\0", 4), "TIFF"}};
  for (const auto& [bytes, name] : cases) {
    const auto status = CheckPhoto(bytes);
    EXPECT_EQ(ErrorReason(status), "PHOTO_UNSUPPORTED_FORMAT");
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(name));
  }
}

TEST(ImageHeaderTest, AnythingElseIsNoImage) {
  EXPECT_EQ(Reason(""), "PHOTO_EMPTY");
  EXPECT_EQ(Reason("hello"), "PHOTO_NOT_AN_IMAGE");
  EXPECT_EQ(Reason(WebP("ABCD", std::string(20, '\0'))), "PHOTO_NOT_AN_IMAGE");
}

// A decoder takes these for markers alone, and would find another size behind them.
TEST(ImageHeaderTest, MarkersWithoutALengthBeforeTheScansAreRefused) {
  for (const int marker : {0x01, 0xD0, 0xD7, 0xD8}) {
    std::string bytes = Jpeg(64, 64);
    bytes.insert(2, Bytes({0xFF, marker}));
    EXPECT_EQ(ErrorReason(ReadImageHeader(bytes).status()), "PHOTO_NOT_AN_IMAGE") << marker;
  }
}

}  // namespace
}  // namespace likeness
