#include "mini/comparisons.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace likeness::mini {
namespace {

double PixelDistance(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(int{a.rgb[i]} - int{b.rgb[i]});
  return sum / static_cast<double>(a.rgb.size());
}

TEST(Comparisons, TheFurtherPictureIsAnotherThanTheNearerOne) {
  for (uint32_t index = 0; index < 20 * kChanges; ++index) {
    const auto comparison = DrawComparison(0, index);
    EXPECT_EQ(static_cast<uint32_t>(comparison.change), index % kChanges);
    EXPECT_NE(comparison.nearer.rgb, comparison.further.rgb)
        << index << ", " << Name(comparison.change);
    EXPECT_NE(comparison.reference.rgb, comparison.further.rgb) << index;
  }
}

TEST(Comparisons, InTheMeanTheFurtherPictureIsFurtherInPixelsToo) {
  std::array<double, kChanges> further{};
  for (uint32_t index = 0; index < 20 * kChanges; ++index) {
    const auto comparison = DrawComparison(0, index);
    further[static_cast<size_t>(comparison.change)] +=
        PixelDistance(comparison.reference, comparison.further) -
        PixelDistance(comparison.reference, comparison.nearer);
  }
  // Not blur, for one: pixels see the jitter rather.
  for (const auto change : {Change::kNoise, Change::kShift, Change::kTint, Change::kView,
                            Change::kScene, Change::kColour, Change::kClass}) {
    EXPECT_GT(further[static_cast<size_t>(change)], 0) << Name(change);
  }
}

TEST(Comparisons, AreTheSameEachTime) {
  for (const uint32_t index : {0u, 2u, 5u}) {
    const auto once = DrawComparison(7, index), again = DrawComparison(7, index);
    EXPECT_EQ(once.nearer.rgb, again.nearer.rgb);
    EXPECT_EQ(once.further.rgb, again.further.rgb);
    EXPECT_NE(once.further.rgb, DrawComparison(8, index).further.rgb);
  }
}

}  // namespace
}  // namespace likeness::mini
