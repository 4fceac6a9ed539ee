#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/images/stand_in_picture.h"
#include "worker/jobs/rehearsal_models.h"

namespace likeness {
namespace {

using testing::HasSubstr;

TEST(StandInPictureTest, SamePromptAndSeedGiveTheSamePixelsAndOthersDoNot) {
  const Image picture = DrawStandIn("a sks dog in the snow", 7, 128, 96);
  EXPECT_EQ(picture.width, 128);
  EXPECT_EQ(picture.height, 96);
  EXPECT_EQ(picture.rgb, DrawStandIn("a sks dog in the snow", 7, 128, 96).rgb);
  EXPECT_NE(picture.rgb, DrawStandIn("a sks dog in the snow", 8, 128, 96).rgb);
  EXPECT_NE(picture.rgb, DrawStandIn("a sks dog on the beach", 7, 128, 96).rgb);
}

TEST(StandInPictureTest, HasLettersOnItsColour) {
  const Image picture = DrawStandIn("", 7, 64, 64);
  int dark = 0;
  for (const uint8_t value : picture.rgb) dark += value < 100;
  EXPECT_GT(dark, 50);
}

TEST(RehearsalModelsTest, OffersEachNameWithItsSizeAndADigestOfItsOwn) {
  const auto models = RehearsalModels::Parse("mini,sd15:512").value();
  const auto offers = models.Offers();
  ASSERT_EQ(offers.size(), 2);
  EXPECT_EQ(offers[0].name(), "baseModels/mini");
  EXPECT_EQ(offers[0].image_size(), 64);
  EXPECT_EQ(offers[1].image_size(), 512);
  EXPECT_EQ(offers[0].digest().size(), 64);
  EXPECT_NE(offers[0].digest(), offers[1].digest());
  EXPECT_EQ(models.Find("baseModels/sd15")->image_size, 512);
  EXPECT_TRUE(absl::IsNotFound(models.Find("baseModels/other").status()));
  EXPECT_TRUE(absl::IsNotFound(models.Find("").status()));  // which of the two
}

TEST(RehearsalModelsTest, SaysWhatIsAllowedInItsPlace) {
  for (const char* list : {"", "mini,", ":64", "mini:", "mini:abc", "mini:65", "mini:4096"}) {
    const auto status = RehearsalModels::Parse(list).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << list;
    EXPECT_THAT(std::string(status.message()), HasSubstr("NAME or NAME:SIZE")) << list;
  }
  EXPECT_THAT(std::string(RehearsalModels::Parse("mini,mini:128").status().message()),
              HasSubstr("once"));
}

}  // namespace
}  // namespace likeness
