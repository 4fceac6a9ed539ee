#include "mini/pairs.h"

#include <gtest/gtest.h>

namespace likeness::mini {
namespace {

TEST(Pairs, DifferInWhatTheySayAndInNothingElse) {
  for (uint32_t index = 0; index < 20 * kDifferences; ++index) {
    const Pair pair = DrawPair(index);
    const Identity &a = pair.first.identity, &b = pair.second.identity;
    const auto only = [&](Difference difference) { return pair.difference == difference; };
    const bool stranger = only(Difference::kInstance) || only(Difference::kClass);
    EXPECT_EQ(a.subject_class != b.subject_class, only(Difference::kClass)) << index;
    if (!stranger) {
      EXPECT_EQ(a.primary_rgb != b.primary_rgb, only(Difference::kColour)) << index;
      EXPECT_EQ(a.secondary_rgb, b.secondary_rgb);
      EXPECT_EQ(a.pattern != b.pattern, only(Difference::kPattern));
      EXPECT_EQ(a.proportions != b.proportions, only(Difference::kProportion));
    } else {
      EXPECT_NE(a.proportions, b.proportions);
    }
    EXPECT_EQ(pair.second.accessory != Accessory::kNone, only(Difference::kAccessory));
    EXPECT_NE(Render(pair.first).rgb, Render(pair.second).rgb);
  }
}

TEST(Pairs, AreTheSameEachTime) {
  EXPECT_EQ(Render(DrawPair(5).second).rgb, Render(DrawPair(5).second).rgb);
  EXPECT_NE(Render(DrawPair(5).second).rgb, Render(DrawPair(12).second).rgb);
}

}  // namespace
}  // namespace likeness::mini
