#include "worker/training/random_masks.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include "worker/families/tiny_model.h"

namespace likeness {
namespace {

at::Generator Seeded(uint64_t seed) { return at::make_generator<at::CPUGeneratorImpl>(seed); }

TEST(RandomMasksTest, EachIsOneShapeWithinThePicture) {
  auto generator = Seeded(5);
  const auto masks = RandomMasks(200, 16, 24, generator);
  EXPECT_EQ(masks.sizes(), (std::vector<int64_t>{200, 1, 16, 24}));
  EXPECT_TRUE(((masks == 0) | (masks == 1)).all().item<bool>());
  // A shape without width may lie on the picture's far edge, which is none of its places.
  EXPECT_GT((masks.flatten(1).sum(1) > 0).sum().item<int64_t>(), 190);
  int rectangles = 0;
  for (const auto& mask : masks.unbind()) {
    const auto rows = mask[0].amax(1).sum().item<float>();
    const auto columns = mask[0].amax(0).sum().item<float>();
    rectangles += mask.sum().item<float>() == rows * columns ? 1 : 0;
  }
  EXPECT_GT(rectangles, 80) << "half of them, and ellipses too thin to be told from one";
  EXPECT_LT(rectangles, 160);
  // Every row and column is reached now and then, and no place always covered.
  const auto covered = masks.mean(0)[0];
  EXPECT_GT(covered.amax(0).min().item<float>(), 0);
  EXPECT_GT(covered.amax(1).min().item<float>(), 0);
  EXPECT_LT(covered.max().item<float>(), 0.9);
}

TEST(RandomMasksTest, TheyFollowFromTheGenerator) {
  auto one = Seeded(7), same = Seeded(7), other = Seeded(8);
  const auto masks = RandomMasks(3, 8, 8, one);
  EXPECT_TRUE(torch::equal(RandomMasks(3, 8, 8, same), masks));
  EXPECT_FALSE(torch::equal(RandomMasks(3, 8, 8, other), masks));
}

TEST(MaskedCanvasTest, AModelThatFillsNoMasksIsToldNothingAndDrawsNothing) {
  auto model = TinyModel();
  auto used = Seeded(7), unused = Seeded(7);
  EXPECT_EQ(PixelsFor(model, {Image{16, 16, std::vector<uint8_t>(16 * 16 * 3)}}).defined(), false);
  EXPECT_FALSE(MaskedCanvas(model, Batch{}, used).defined());
  EXPECT_TRUE(torch::equal(torch::randn({4}, used), torch::randn({4}, unused)));
}

}  // namespace
}  // namespace likeness
