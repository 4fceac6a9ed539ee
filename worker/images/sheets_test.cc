// Contact sheets and the lettering on them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "worker/base/error.h"
#include "worker/images/contact_sheet.h"
#include "worker/images/lettering.h"

namespace likeness {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::SizeIs;

Image Solid(int width, int height, uint8_t red, uint8_t green, uint8_t blue) {
  Image image{width, height, {}};
  for (int i = 0; i < width * height; ++i) image.rgb.insert(image.rgb.end(), {red, green, blue});
  return image;
}

int CountPixels(const Image& image, uint8_t red, uint8_t green, uint8_t blue) {
  int count = 0;
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    count += image.rgb[i] == red && image.rgb[i + 1] == green && image.rgb[i + 2] == blue;
  }
  return count;
}

TEST(ContactSheetTest, PicturesFillTheirTiles) {
  const Image sheet = DrawContactSheet(
      {{"photos", {{Solid(64, 64, 255, 0, 0), "one"}, {Solid(512, 512, 0, 255, 0), "two"}}}},
      {.title = "", .tile = 128});
  EXPECT_EQ(CountPixels(sheet, 255, 0, 0), 128 * 128);
  EXPECT_EQ(CountPixels(sheet, 0, 255, 0), 128 * 128);
}

TEST(ContactSheetTest, ProportionsAreKept) {
  const Image sheet = DrawContactSheet({{"", {{Solid(200, 100, 255, 0, 0), ""}}}}, {.tile = 100});
  EXPECT_EQ(CountPixels(sheet, 255, 0, 0), 100 * 50);
}

TEST(ContactSheetTest, LongestRowSetsTheWidthAndBlankCellsAreAllowed) {
  const SheetCell cell{Solid(64, 64, 1, 2, 3), ""};
  const Image narrow = DrawContactSheet({{"", {cell}}, {"", {cell}}});
  const Image wide = DrawContactSheet({{"", {cell}}, {"", {cell, {}, cell}}});
  EXPECT_GT(wide.width, 2 * narrow.width);
  EXPECT_EQ(wide.height, narrow.height);
}

TEST(ContactSheetTest, HeadingsAndCaptionsTakeRoom) {
  const Image picture = Solid(64, 64, 1, 2, 3);
  const int bare = DrawContactSheet({{"", {{picture, ""}}}}).height;
  const int captioned = DrawContactSheet({{"", {{picture, "a dog"}}}}).height;
  const int headed = DrawContactSheet({{"photos", {{picture, "a dog"}}}}).height;
  EXPECT_LT(bare, captioned);
  EXPECT_LT(captioned, headed);
}

TEST(ContactSheetTest, FiguresAreShownHoweverLongTheCaptionIs) {
  const Image picture = Solid(64, 64, 1, 2, 3);
  const std::string words =
      "a caption of many words that do not fit on the three lines it has, "
      "however they are broken, and are cut";
  const int cut = DrawContactSheet({{"", {{picture, words}}}}).height;
  const int told = DrawContactSheet({{"", {{picture, words, "DINO 0.71"}}}}).height;
  EXPECT_LT(cut, told);
}

TEST(ContactSheetTest, NothingToShowIsAnError) {
  EXPECT_THROW(DrawContactSheet({}), Error);
  EXPECT_THROW(DrawContactSheet({{"photos", {}}}), Error);
}

TEST(ContactSheetTest, EndlessSheetIsAnError) {
  const SheetRow row{"", std::vector<SheetCell>(2000)};
  EXPECT_THROW(DrawContactSheet({row}, {.tile = 512}), Error);
}

TEST(LetteringTest, WrapsAtSpaces) {
  const Lettering style{.height = 9};
  const int width = TextWidth("a blue dog", style);
  EXPECT_THAT(WrapText("a blue dog in the snow", width, 3, style),
              ElementsAre("a blue dog", "in the", "snow"));
  EXPECT_THAT(WrapText("", width, 3, style), SizeIs(0));
}

TEST(LetteringTest, TooLongATextIsCutToItsLines) {
  const Lettering style{.height = 9};
  const auto lines = WrapText("one two three four five six seven", 60, 2, style);
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_THAT(lines.back(), EndsWith("..."));
  for (const auto& line : lines) EXPECT_LE(TextWidth(line, style), 60);
  const auto word = WrapText(std::string(300, 'm'), 60, 2, style);
  ASSERT_THAT(word, SizeIs(1));
  EXPECT_LE(TextWidth(word.front(), style), 60);
}

TEST(LetteringTest, OtherAlphabetsAreOneMarkACharacter) {
  const Lettering style;
  EXPECT_EQ(TextWidth("\xE7\x8A\xAC", style), TextWidth("?", style));
}

}  // namespace
}  // namespace likeness
