#include "worker/training/loss_weights.h"

#include <gtest/gtest.h>

#include "worker/training/recording_host.h"
#include "worker/training/training_data.h"

namespace likeness {
namespace {

// 4 x 4 pixels: white in the first `columns`, black elsewhere.
SubjectPhoto WhiteTo(int columns) {
  SubjectPhoto photo{.image = TestImage(0, 4)};
  photo.mask = Image{4, 4, std::vector<uint8_t>(48)};
  for (size_t i = 0; i < 48; ++i)
    photo.mask->rgb[i] = static_cast<int>(i / 3 % 4) < columns ? 255 : 0;
  return photo;
}

std::vector<float> Values(const torch::Tensor& tensor) {
  const auto flat = tensor.contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

TEST(LossWeightsTest, ALatentCountsAsMuchAsItsCellIsWhite) {
  const auto weights = LossWeights({WhiteTo(3), {.image = TestImage(0, 4)}}, 2, 0);
  ASSERT_EQ(weights.sizes().vec(), (std::vector<int64_t>{2, 1, 2, 2}));
  EXPECT_EQ(Values(weights[0]), (std::vector<float>{1, 0.5, 1, 0.5}));
  EXPECT_EQ(Values(weights[1]), (std::vector<float>{1, 1, 1, 1})) << "without a mask";
}

TEST(LossWeightsTest, NothingCountsLessThanWhatIsUnmasked) {
  EXPECT_EQ(Values(LossWeights({WhiteTo(1)}, 2, 0.25)), (std::vector<float>{0.5, 0.25, 0.5, 0.25}));
  EXPECT_EQ(Values(LossWeights({WhiteTo(1)}, 2, 1)), (std::vector<float>{1, 1, 1, 1}));
}

TEST(LossWeightsTest, WithoutMasksThereAreNone) {
  EXPECT_FALSE(LossWeights({{.image = TestImage(0, 4)}}, 2, 0).defined());
}

TEST(LossWeightsTest, MasksAreMirroredWithTheirPhotosAndNotWithClassImages) {
  const LatentMoments moments{torch::zeros({1, 4, 2, 2}), torch::zeros({1, 4, 2, 2})};
  PictureSet photos{moments, {0}};
  photos.mirrored = moments;
  photos.weights_N1hw = LossWeights({WhiteTo(1)}, 2, 0);
  Batch batch = Concatenate(TakeBatch(photos, {0}), TakeBatch({moments, {1}}, {0}));
  EXPECT_EQ(Values(batch.weights_B1hw), (std::vector<float>{0.5, 0, 0.5, 0, 1, 1, 1, 1}));
  Draws draws;
  draws.mirrored_B = {true, true};
  Alter(batch, draws, /*photos=*/1, /*empty_prompt=*/-1);
  EXPECT_EQ(Values(batch.weights_B1hw), (std::vector<float>{0, 0.5, 0, 0.5, 1, 1, 1, 1}));
  EXPECT_EQ(Values(photos.weights_N1hw), (std::vector<float>{0.5, 0, 0.5, 0})) << "the set's stay";
}

}  // namespace
}  // namespace likeness
