#include "worker/generation/tensor_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace likeness {
namespace {

using ::testing::ElementsAre;

TEST(TensorImageTest, EveryByteComesBack) {
  Image image{.width = 16, .height = 16, .rgb = {}};
  for (int i = 0; i < 16 * 16 * 3; ++i) image.rgb.push_back(static_cast<uint8_t>(i % 256));
  auto tensor = ImageToTensor(image);
  EXPECT_EQ(tensor.sizes(), at::IntArrayRef({3, 16, 16}));
  EXPECT_EQ(TensorToImages(tensor.unsqueeze(0)).at(0).rgb, image.rgb);
}

TEST(TensorImageTest, ChannelsAndSidesAreWhereTheyBelong) {
  const Image image{.width = 2, .height = 1, .rgb = {255, 0, 0, 0, 0, 255}};
  auto tensor = ImageToTensor(image);
  EXPECT_FLOAT_EQ(tensor[0][0][0].item<float>(), 1);
  EXPECT_FLOAT_EQ(tensor[2][0][0].item<float>(), -1);
  EXPECT_FLOAT_EQ(tensor[2][0][1].item<float>(), 1);
}

TEST(TensorImageTest, ValuesAreClampedAndRounded) {
  auto tensor = torch::tensor({-5.0f, 5.0f, 0.4f / 127.5f - 1, 1.6f / 127.5f - 1, 0.0f, 0.9f});
  auto images = TensorToImages(tensor.view({1, 3, 1, 2}));
  EXPECT_THAT(images.at(0).rgb, ElementsAre(0, 0, 128, 255, 2, 242));
}

}  // namespace
}  // namespace likeness
