#include "client/cli/progress_line.h"

#include "client/cli/text.h"
#include "gtest/gtest.h"

namespace likeness::client {
namespace {

ProgressLine Training(int64_t done) {
  return {.label = "training",
          .done = done,
          .total = 300,
          .eta = absl::Seconds(9),
          .figures = "loss 0.0431",
          .speed = "9.8 it/s"};
}

TEST(RenderBarTest, FillsEightyColumnsAndNoMore) {
  const auto line = RenderBar(Training(212), {.columns = 80});
  EXPECT_EQ(line, " ⠋ training    212/300 ━━━━━━━━━━━───── 70%  loss 0.0431  9.8 it/s  0:09 left");
  EXPECT_LT(DisplayWidth(line), 80);
}

TEST(RenderBarTest, IsAsWideAtTheBeginningAsAtTheEnd) {
  const auto first = RenderBar(Training(0), {.columns = 80});
  EXPECT_EQ(first, " ⠋ training      0/300 ────────────────  0%  loss 0.0431  9.8 it/s  0:09 left");
  EXPECT_EQ(DisplayWidth(first), DisplayWidth(RenderBar(Training(300), {.columns = 80})));
}

TEST(RenderBarTest, LeavesOutWhatDoesNotFit) {
  EXPECT_EQ(RenderBar(Training(150), {.columns = 70}),
            " ⠋ training    150/300 ━━━━━━━━──────── 50%  loss 0.0431  0:09 left");
  EXPECT_EQ(RenderBar(Training(150), {.columns = 52}),
            " ⠋ training    150/300 ━━━━━╸───── 50%  0:09 left");
  EXPECT_EQ(RenderBar(Training(150), {.columns = 40}), " ⠋ training    150/300 ━━━━━───── 50%");
  EXPECT_EQ(RenderBar(Training(150), {.columns = 20}), " ⠋ training    150/300  50%");
}

TEST(RenderBarTest, AMeasurementTakesTheSpeedsPlaceOnEightyColumns) {
  ProgressLine line = Training(212);
  line.measured = "val 0.0612";
  line.photos = "39 photos/s";
  const auto narrow = RenderBar(line, {.columns = 80});
  EXPECT_EQ(narrow,
            " ⠋ training    212/300 ━━━━━━━━━╸──── 70%  loss 0.0431  val 0.0612  0:09 left");
  EXPECT_LT(DisplayWidth(narrow), 80);
  EXPECT_EQ(RenderBar(line, {.columns = 100}),
            " ⠋ training    212/300 ━━━━━━━╸─── 70%  loss 0.0431  val 0.0612  9.8 it/s  39 photos/s"
            "  0:09 left");
  EXPECT_EQ(
      RenderPlain(line),
      "   training    212/300 70%  loss 0.0431  val 0.0612  9.8 it/s  39 photos/s  0:09 left");
}

TEST(RenderBarTest, NoWidthMakesTheLineWrap) {
  ProgressLine line = Training(12);
  line.total = 20000;
  line.measured = "subject 0.713";
  line.photos = "39 photos/s";
  for (int columns = 40; columns <= 140; ++columns) {
    EXPECT_LT(DisplayWidth(RenderBar(line, {.columns = columns})), columns);
  }
}

TEST(RenderBarTest, ColoursTheBarAlone) {
  const ProgressLine line{.label = "class", .done = 1, .total = 2};
  EXPECT_EQ(RenderBar(line, {.columns = 34, .colour = true}),
            " \x1b[36m⠋\x1b[0m class       1/2 \x1b[36m━━━━\x1b[0m\x1b[2m────\x1b[0m 50%");
}

TEST(RenderBarTest, SaysWhatItDoesWhileNothingCanBeCounted) {
  EXPECT_EQ(RenderBar({.label = "waiting", .text = "2 ahead"}, {.columns = 80, .spinner_frame = 1}),
            " ⠙ waiting     2 ahead");
}

TEST(RenderPlainTest, IsOneLineWithoutABar) {
  EXPECT_EQ(RenderPlain(Training(212)),
            "   training    212/300 70%  loss 0.0431  9.8 it/s  0:09 left");
  EXPECT_EQ(RenderPlain({.label = "uploading", .done = 500, .total = 18'200'000, .bytes = true}),
            "   uploading   500 B of 18.2 MB 0%");
}

TEST(RenderLineTest, HangsUnderItsText) {
  EXPECT_EQ(RenderLine(Mark::kDone, "photos",
                       "4 of 4 usable · rex/03.jpg turned by its EXIF tag · rex/02.jpg is small",
                       /*columns=*/80, /*colour=*/false),
            " ✓ photos      4 of 4 usable · rex/03.jpg turned by its EXIF tag · rex/02.jpg\n"
            "               is small");
}

TEST(RenderLineTest, CutsALongLabelAndDisarmsControlCharacters) {
  EXPECT_EQ(RenderLine(Mark::kNone, "a phase of tomorrow", "x\x1b[31m", 0, false),
            "   a phase of… x?[31m");
}

TEST(PercentTest, IsFullOnlyWhenAllIsDone) {
  EXPECT_EQ(Percent({.label = "", .done = 299, .total = 300}), 99);
  EXPECT_EQ(Percent({.label = "", .done = 300, .total = 300}), 100);
  EXPECT_EQ(Percent({.label = "", .done = 5, .total = 0}), 0);
}

}  // namespace
}  // namespace likeness::client
