#include "worker/images/exif.h"

#include <gtest/gtest.h>

#include "worker/images/photo_bytes.h"

namespace likeness {
namespace {

TEST(ExifTest, FilesWithoutExifAreUpright) {
  EXPECT_EQ(ExifOrientation(FileOf(Quarters(40, 40), ".jpg")), 1);
  EXPECT_EQ(ExifOrientation(FileOf(Quarters(40, 40), ".png")), 1);
  EXPECT_EQ(ExifOrientation(FileOf(Quarters(40, 40), ".webp")), 1);
  EXPECT_EQ(ExifOrientation(""), 1);
}

TEST(ExifTest, JpegInBothByteOrders) {
  const auto jpeg = FileOf(Quarters(40, 40), ".jpg");
  EXPECT_EQ(ExifOrientation(WithJpegExif(jpeg, OrientationTiff(6))), 6);
  EXPECT_EQ(ExifOrientation(WithJpegExif(jpeg, OrientationTiff(6, true))), 6);
}

TEST(ExifTest, Png) {
  const auto png = FileOf(Quarters(40, 40), ".png");
  EXPECT_EQ(ExifOrientation(WithPngChunk(png, PngChunk("eXIf", OrientationTiff(8)))), 8);
}

TEST(ExifTest, WebpWithAndWithoutJpegsPrefix) {
  const auto webp = FileOf(Quarters(40, 40), ".webp");
  const auto tiff = OrientationTiff(3);
  EXPECT_EQ(ExifOrientation(webp + "EXIF" + LittleEndian32(tiff.size()) + tiff), 3);
  const auto prefixed = std::string("Exif\0\0", 6) + tiff;
  EXPECT_EQ(ExifOrientation(webp + "EXIF" + LittleEndian32(prefixed.size()) + prefixed), 3);
}

TEST(ExifTest, NonsenseIsUpright) {
  const auto jpeg = FileOf(Quarters(40, 40), ".jpg");
  EXPECT_EQ(ExifOrientation(WithJpegExif(jpeg, OrientationTiff(0))), 1);
  EXPECT_EQ(ExifOrientation(WithJpegExif(jpeg, OrientationTiff(99))), 1);
  EXPECT_EQ(ExifOrientation(WithJpegExif(jpeg, "MM\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")), 1);
}

TEST(ExifTest, EveryCutOfAFileIsRead) {
  const auto jpeg = WithJpegExif(FileOf(Quarters(40, 40), ".jpg"), OrientationTiff(6));
  for (size_t size = 0; size < 60; ++size) {
    const int orientation = ExifOrientation(jpeg.substr(0, size));
    EXPECT_TRUE(orientation == 1 || orientation == 6) << size;
  }
}

}  // namespace
}  // namespace likeness
