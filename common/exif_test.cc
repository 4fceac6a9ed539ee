#include "common/exif.h"

#include <string>

#include "gtest/gtest.h"

namespace likeness {
namespace {

std::string Number(uint32_t value, int count, bool little) {
  std::string bytes;
  for (int i = 0; i < count; ++i) {
    bytes.push_back(static_cast<char>(value >> 8 * (little ? i : count - 1 - i)));
  }
  return bytes;
}

constexpr int kShort = 3, kLong = 4;

// A directory of two entries: the image's width, then the orientation.
std::string Tiff(uint32_t orientation, bool little = false, int type = kShort) {
  const auto number = [&](uint32_t value, int count) { return Number(value, count, little); };
  const auto entry = [&](int tag, int of_type, uint32_t value) {
    const std::string said = number(value, of_type == kShort ? 2 : 4);
    return number(tag, 2) + number(of_type, 2) + number(1, 4) + said +
           std::string(4 - said.size(), '\0');
  };
  return (little ? "II" : "MM") + number(42, 2) + number(8, 4) + number(2, 2) +
         entry(0x0100, kLong, 640) + entry(0x0112, type, orientation) + number(0, 4);
}

const std::string kPrefix("Exif\0\0", 6);

std::string Segment(char marker, const std::string& data) {
  return std::string("\xFF") + marker + Number(static_cast<uint32_t>(data.size()) + 2, 2, false) +
         data;
}

// Its APP1 of EXIF stands behind JFIF's APP0, a fill byte and an APP1 of XMP, as in phones' files.
std::string Jpeg(const std::string& tiff) {
  return "\xFF\xD8" + Segment('\xE0', "JFIF") + "\xFF" + Segment('\xE1', "http://ns.adobe.com/") +
         Segment('\xE1', kPrefix + tiff) + Segment('\xDA', "scan") + "\xFF\xD9";
}

std::string Chunk(const std::string& type, const std::string& data) {
  return Number(static_cast<uint32_t>(data.size()), 4, false) + type + data + std::string(4, '\0');
}

std::string Png(const std::string& tiff) {
  return "\x89PNG\r\n\x1A\n" + Chunk("IHDR", std::string(13, '\1')) + Chunk("eXIf", tiff) +
         Chunk("IDAT", "pixels") + Chunk("IEND", "");
}

// A chunk of odd length stands before, which WebP pads.
std::string Webp(const std::string& tiff) {
  const auto chunk = [](const std::string& type, const std::string& data) {
    return type + Number(static_cast<uint32_t>(data.size()), 4, true) + data +
           std::string(data.size() % 2, '\0');
  };
  const std::string chunks = "WEBP" + chunk("ICCP", "odd") + chunk("EXIF", tiff);
  return "RIFF" + Number(static_cast<uint32_t>(chunks.size()), 4, true) + chunks;
}

TEST(ExifTest, EveryOrientationIsReadFromEveryFormatInBothByteOrders) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (bool little : {false, true}) {
      const auto tiff = Tiff(orientation, little);
      EXPECT_EQ(ExifOrientation(Jpeg(tiff)), orientation);
      EXPECT_EQ(ExifOrientation(Png(tiff)), orientation);
      EXPECT_EQ(ExifOrientation(Webp(tiff)), orientation);
      EXPECT_EQ(ExifOrientation(Webp(kPrefix + tiff)), orientation) << "with JPEG's prefix";
    }
  }
}

TEST(ExifTest, AnOrientationWrittenAsLongIsRead) {
  EXPECT_EQ(ExifOrientation(Jpeg(Tiff(6, false, kLong))), 6);
  EXPECT_EQ(ExifOrientation(Jpeg(Tiff(6, true, kLong))), 6);
}

TEST(ExifTest, NonsenseIsUpright) {
  for (uint32_t orientation : {0u, 9u, 99u}) {
    EXPECT_EQ(ExifOrientation(Jpeg(Tiff(orientation))), 1);
  }
  EXPECT_EQ(ExifOrientation(Jpeg(Tiff(65536 + 6, false, kLong))), 1);
  EXPECT_EQ(ExifOrientation(Jpeg("MM\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")), 1);
  EXPECT_EQ(ExifOrientation(Jpeg("XX" + Tiff(6).substr(2))), 1) << "no byte order";
  EXPECT_EQ(ExifOrientation(Tiff(6)), 1) << "no picture file";
  EXPECT_EQ(ExifOrientation(""), 1);
}

TEST(ExifTest, WhatStandsBehindTheScansIsNotTheFilesOwn) {
  const auto jpeg = "\xFF\xD8" + Segment('\xDA', "scan") + Segment('\xE1', kPrefix + Tiff(6));
  EXPECT_EQ(ExifOrientation(jpeg), 1);
}

// The bytes behind each cut are still in memory: a reader that looks there finds 6.
TEST(ExifTest, NothingIsReadBehindTheFilesEnd) {
  for (const std::string& whole : {Jpeg(Tiff(6)), Png(Tiff(6)), Webp(Tiff(6, true))}) {
    const size_t value_end = whole.find("\x01\x12") != whole.npos ? whole.find("\x01\x12") + 10
                                                                  : whole.find("\x12\x01") + 10;
    ASSERT_EQ(ExifOrientation(whole), 6);
    for (size_t size = 0; size < whole.size(); ++size) {
      const int orientation = ExifOrientation(absl::string_view(whole).substr(0, size));
      if (size < value_end) EXPECT_EQ(orientation, 1) << size << " of " << whole.size();
    }
  }
}

}  // namespace
}  // namespace likeness
