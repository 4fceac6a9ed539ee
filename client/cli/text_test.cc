#include "client/cli/text.h"

#include <limits>

#include "client/cli/table.h"
#include "gtest/gtest.h"

namespace likeness::client {
namespace {

TEST(TextTest, WidthCountsColumns) {
  EXPECT_EQ(DisplayWidth("rex"), 3);
  EXPECT_EQ(DisplayWidth("━╸─"), 3);
  EXPECT_EQ(DisplayWidth("犬🐕"), 4);
  EXPECT_EQ(DisplayWidth("e\u0301"), 1);
}

TEST(TextTest, TruncateNeverCutsACharacter) {
  EXPECT_EQ(Truncate("a rhf dog", 20), "a rhf dog");
  EXPECT_EQ(Truncate("a rhf dog", 6), "a rhf…");
  EXPECT_EQ(Truncate("犬犬犬", 4), "犬…");
}

TEST(TextTest, PrintableLeavesNothingThatSteersATerminal) {
  EXPECT_EQ(Printable("a\x1b[2Jb\n\x07"), "a?[2Jb??");
  EXPECT_EQ(Printable("caf\u00e9 \u202e \xff"), "café ? ?");
}

TEST(TextTest, TablesFitByTheirWidestColumn) {
  EXPECT_EQ(RenderTable({{"A", "ABOUT", "END"}, {"1", "a long text to be cut", "x"}}, 20),
            "A  ABOUT         END\n1  a long text…  x");
  EXPECT_EQ(RenderTable({{"A", "B"}, {"1", "2"}}, 20), "A  B\n1  2");
}

TEST(TextTest, WrapHangsUnderTheFirstLine) {
  EXPECT_EQ(Wrap("one two three", 12, 4), "one two\n    three");
  EXPECT_EQ(Wrap("averyveryverylongword b", 12, 4), "averyveryverylongword\n    b");
}

TEST(TextTest, TimesAndSizesReadWell) {
  EXPECT_EQ(ClockTime(absl::Seconds(9)), "0:09");
  EXPECT_EQ(ClockTime(absl::Seconds(3723)), "1:02:03");
  EXPECT_EQ(ClockTime(absl::Seconds(-1)), "0:00");
  EXPECT_EQ(RoundTime(absl::Milliseconds(430)), "0.4 s");
  EXPECT_EQ(RoundTime(absl::Seconds(31)), "31 s");
  EXPECT_EQ(RoundTime(absl::Minutes(3)), "3 min");
  EXPECT_EQ(RoundTime(absl::Hours(72)), "3 days");
  EXPECT_EQ(ByteSize(512), "512 B");
  EXPECT_EQ(ByteSize(18'200'000), "18.2 MB");
  EXPECT_EQ(ByteSize(999'990), "1.0 MB");
  EXPECT_EQ(ByteSize(421'300'000), "421 MB");
  EXPECT_EQ(Figure(0.04312), "0.0431");
  EXPECT_EQ(Figure(421'300'000), "421,300,000");
  EXPECT_EQ(Figure(-1234.4), "-1,234");
  EXPECT_EQ(Figure(999.7), "1,000");
  EXPECT_EQ(Figure(5e-6), "5e-06");
  EXPECT_EQ(Figure(-std::numeric_limits<double>::quiet_NaN()), "-");
  EXPECT_EQ(Figure(std::numeric_limits<double>::infinity()), "-");
  EXPECT_EQ(Count(1, "photo"), "1 photo");
}

}  // namespace
}  // namespace likeness::client
