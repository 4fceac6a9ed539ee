#include "common/png_text.h"

#include <gtest/gtest.h>

#include <string>

namespace likeness {
namespace {

// A PNG file of one black pixel.
const std::string& Pixel() {
  static const auto* const file = new std::string(
      "\x89PNG\r\n\x1a\n"
      "\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55"
      "\0\0\0\x0aIDAT\x78\x9c\x63\x60\0\0\0\x02\0\x01\x48\xaf\xa4\x71"
      "\0\0\0\0IEND\xae\x42\x60\x82",
      8 + 25 + 22 + 12);
  return *file;
}

TEST(PngTextTest, TextsAreFoundByTheirKeywords) {
  const std::string file =
      WithPngTexts(Pixel(), {{"parameters", "a d\xc3\xb6g\nSteps: 4"}, {"para", "{\"a\": 1}"}});
  EXPECT_EQ(FindPngText(file, "parameters"), "a d\xc3\xb6g\nSteps: 4");
  EXPECT_EQ(FindPngText(file, "para"), "{\"a\": 1}");
  EXPECT_EQ(FindPngText(file, "par"), std::nullopt);
  EXPECT_EQ(FindPngText(Pixel(), "parameters"), std::nullopt);
}

// The chunk of the PNG specification's text, with the checksum that zlib gives.
TEST(PngTextTest, AChunkHasItsChecksum) {
  const std::string file = WithPngTexts(Pixel(), {{"k", "v"}});
  EXPECT_EQ(file.substr(8 + 25, 15), std::string("\0\0\0\x03tEXtk\0v\xcb\x04\xf3\x90", 15));
  EXPECT_EQ(file.substr(8 + 25 + 15), Pixel().substr(8 + 25));
}

TEST(PngTextTest, AFileThatIsCutOrNoPngHasNoText) {
  const std::string file = WithPngTexts(Pixel(), {{"k", "a long text"}});
  for (size_t size = 0; size < 8 + 25 + 12 + 13; ++size) {
    EXPECT_EQ(FindPngText(file.substr(0, size), "k"), std::nullopt) << size;
  }
  EXPECT_EQ(WithPngTexts("GIF89a", {{"k", "v"}}), "GIF89a");
  std::string endless = file;
  endless.replace(8 + 25, 4, "\xff\xff\xff\xff");
  EXPECT_EQ(FindPngText(endless, "k"), std::nullopt);
}

}  // namespace
}  // namespace likeness
