#include "common/photo_look.h"

#include <cmath>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace likeness {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Photo {
  int width, height;
  std::vector<uint8_t> rgb;
};

// Rectangles of random colours, smoothed over 2 * `blur` + 1 pixels; a border of one colour.
Photo Scene(int seed, int blur, int side = 300, int border = 0) {
  std::mt19937 random(seed);
  Photo photo{side, side, std::vector<uint8_t>(static_cast<size_t>(side) * side * 3, border)};
  for (int i = 0; i < 60; ++i) {
    const int left = random() % side, top = random() % side, size = 10 + random() % 60;
    const uint8_t colour[3] = {uint8_t(random()), uint8_t(random()), uint8_t(random())};
    for (int y = std::max(top, 40); y < std::min(side - 40, top + size); ++y) {
      for (int x = std::max(left, 40); x < std::min(side - 40, left + size); ++x) {
        for (int c = 0; c < 3; ++c) photo.rgb[3 * (y * side + x) + c] = colour[c];
      }
    }
  }
  const Photo sharp = photo;
  for (int y = 0; y < side && blur > 0; ++y) {
    for (int x = 0; x < side; ++x) {
      for (int c = 0; c < 3; ++c) {
        int sum = 0, count = 0;
        for (int dy = -blur; dy <= blur; ++dy) {
          for (int dx = -blur; dx <= blur; ++dx) {
            if (y + dy < 0 || y + dy >= side || x + dx < 0 || x + dx >= side) continue;
            sum += sharp.rgb[3 * ((y + dy) * side + x + dx) + c];
            ++count;
          }
        }
        photo.rgb[3 * (y * side + x) + c] = static_cast<uint8_t>(sum / count);
      }
    }
  }
  return photo;
}

PhotoLook Look(const Photo& photo) {
  PhotoLooker looker(photo.width, photo.height, 3);
  for (int y = 0; y < photo.height; ++y)
    looker.AddRow(&photo.rgb[static_cast<size_t>(y) * photo.width * 3]);
  return looker.Finish();
}

std::vector<std::string> Warnings(const std::vector<Photo>& photos) {
  std::vector<NamedLook> named;
  for (size_t i = 0; i < photos.size(); ++i) {
    named.push_back({"photos[" + std::to_string(i) + "]", Look(photos[i])});
  }
  return WarningsOfLooks(named);
}

// Each pixel `factor` times a side.
Photo Enlarged(const Photo& photo, int factor) {
  Photo large{photo.width * factor, photo.height * factor, {}};
  for (int y = 0; y < large.height; ++y) {
    for (int x = 0; x < large.width; ++x) {
      for (int c = 0; c < 3; ++c) {
        large.rgb.push_back(photo.rgb[3 * (y / factor * photo.width + x / factor) + c]);
      }
    }
  }
  return large;
}

TEST(PhotoLook, BlurredPhotosAreToldFromSharpOnes) {
  EXPECT_LT(*Look(Scene(1, 0)).blur, 0.35);
  EXPECT_GT(*Look(Scene(1, 4)).blur, 0.65);
  EXPECT_THAT(Warnings({Scene(1, 0), Scene(2, 4, 300, 200)}),
              ElementsAre(HasSubstr("photos[1] looks blurred")));
}

// Scale by scale, what a model of 512 pixels sees is what counts.
TEST(PhotoLook, LargePhotosAreLookedAtInTheSizeThatIsLearned) {
  const Photo photo = Scene(3, 0, 400);
  EXPECT_NEAR(*Look(Enlarged(photo, 2)).blur, *Look(photo).blur, 0.02);
  EXPECT_FALSE(Look(Scene(3, 0, 100)).blur.has_value());
}

TEST(PhotoLook, ANearlyEqualPhotoIsNamedWithTheOther) {
  Photo again = Scene(1, 0);
  for (uint8_t& level : again.rgb) level = static_cast<uint8_t>(std::min(255, level + 3));
  EXPECT_THAT(Warnings({Scene(1, 0), Scene(2, 0, 300, 200), again}),
              ElementsAre(HasSubstr("photos[0], photos[2] are nearly the same")));
}

TEST(PhotoLook, OneBackgroundForAllPhotosIsAWarning) {
  EXPECT_THAT(Warnings({Scene(1, 0), Scene(2, 0), Scene(3, 0)}),
              ElementsAre(HasSubstr("background looks the same")));
  EXPECT_THAT(Warnings({Scene(1, 0), Scene(2, 0), Scene(3, 0, 300, 120)}), IsEmpty());
  EXPECT_THAT(Warnings({Scene(1, 0), Scene(2, 0)}), IsEmpty()) << "two may well be alike";
}

TEST(PhotoLook, ABackgroundThatIsNotLearnedIsNoWarning) {
  std::vector<NamedLook> photos;
  for (const int scene : {1, 2, 3, 4}) {
    photos.push_back({"photos[" + std::to_string(scene - 1) + "]", Look(Scene(scene, 0))});
  }
  photos[3].background_is_learned = false;
  EXPECT_THAT(WarningsOfLooks(photos), ElementsAre(HasSubstr("background looks the same")));
  photos[2].background_is_learned = false;
  EXPECT_THAT(WarningsOfLooks(photos), IsEmpty()) << "two are left";
}

TEST(PhotoLook, GreyPhotosAreColourlessOnes) {
  PhotoLooker grey(4, 4, 1), colour(4, 4, 3);
  const uint8_t row[4] = {0, 50, 100, 150};
  const uint8_t rgb[12] = {0, 0, 0, 50, 50, 50, 100, 100, 100, 150, 150, 150};
  for (int y = 0; y < 4; ++y) grey.AddRow(row), colour.AddRow(rgb);
  EXPECT_EQ(grey.Finish().tiles, colour.Finish().tiles);
}

}  // namespace
}  // namespace likeness
