#include "mini/world.h"

#include <gtest/gtest.h>

#include <cmath>
#include <opencv2/core.hpp>
#include <set>

#include "mini/captions.h"
#include "mini/scenes.h"
#include "mini/texture.h"

namespace likeness::mini {
namespace {

Depiction PlainDepiction(SubjectClass subject_class, uint64_t seed) {
  Random random(seed);
  return {.identity = DrawIdentity(subject_class, seed),
          .scene = Scene::kPinkFabric,
          .accessory = Accessory::kNone,
          .view = {.x = 0, .y = 0, .scale = .9f, .turn = 0, .light = 1, .tint = 0},
          .scene_seed = 7};
}

double MeanDifference(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(a.rgb[i] - b.rgb[i]);
  return sum / a.rgb.size();
}

TEST(RandomTest, DrawsSplitMix64) {
  Random random(1234567);  // the reference values of Vigna's splitmix64.c
  EXPECT_EQ(random.Next(), 6457827717110365317ULL);
  EXPECT_EQ(random.Next(), 3203168211198807973ULL);
}

TEST(WorldTest, SameExampleHasTheSameBytes) {
  for (uint64_t index : {0, 1, 99999}) {
    EXPECT_EQ(Render(PretrainingDepiction(index)).rgb, Render(PretrainingDepiction(index)).rgb);
  }
}

TEST(WorldTest, ScenesLeaveNoPixelUndrawn) {
  for (int scene = 0; scene < kScenes; ++scene) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      Random random(seed);
      cv::Mat1b black;
      cv::inRange(DrawScene(static_cast<Scene>(scene), random), cv::Scalar::all(0),
                  cv::Scalar::all(8), black);
      EXPECT_EQ(cv::countNonZero(black), 0) << Name(static_cast<Scene>(scene)) << seed;
    }
  }
}

TEST(WorldTest, PictureHasItsSize) {
  Image image = Render(PretrainingDepiction(3));
  EXPECT_EQ(image.width, kImageSize);
  EXPECT_EQ(image.height, kImageSize);
  EXPECT_EQ(image.rgb.size(), size_t{3} * kImageSize * kImageSize);
}

TEST(WorldTest, HeldOutLooksNeverOccurInPretraining) {
  for (uint64_t index = 0; index < 5000; ++index) {
    const Identity seen = PretrainingDepiction(index).identity;
    EXPECT_GE(seen.seed, kFirstPretrainingSeed);
    ASSERT_FALSE(IsHeldOutLook(seen.subject_class, seen.primary, seen.secondary, seen.pattern));
  }
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const Identity held_out = DrawIdentity(static_cast<SubjectClass>(seed % kClasses), seed);
    ASSERT_TRUE(IsHeldOutLook(held_out.subject_class, held_out.primary, held_out.secondary,
                              held_out.pattern));
  }
}

TEST(WorldTest, PretrainingHoldsEveryClassSceneColourAndPattern) {
  std::set<std::pair<SubjectClass, Scene>> pairs;
  std::set<std::pair<SubjectClass, Colour>> colours;
  std::set<std::pair<SubjectClass, Pattern>> patterns;
  for (uint64_t index = 0; index < 2000; ++index) {
    const Depiction depiction = PretrainingDepiction(index);
    const Identity& identity = depiction.identity;
    pairs.insert({identity.subject_class, depiction.scene});
    colours.insert({identity.subject_class, identity.primary});
    patterns.insert({identity.subject_class, identity.pattern});
    EXPECT_TRUE(CanWear(identity.subject_class, depiction.accessory));
    EXPECT_NE(identity.primary, identity.secondary);
    EXPECT_GE(identity.pattern_period, 16);
  }
  EXPECT_EQ(pairs.size(), kClasses * kScenes);
  EXPECT_EQ(colours.size(), kClasses * kColours);
  EXPECT_EQ(patterns.size(), kClasses * kPatterns);
}

TEST(WorldTest, IdentityShowsAndTheViewKeepsIt) {
  for (int c = 0; c < kClasses; ++c) {
    const auto subject_class = static_cast<SubjectClass>(c);
    const Depiction one = PlainDepiction(subject_class, 1);
    Depiction moved = one;
    moved.view.x = .02f;
    const double within = MeanDifference(Render(one), Render(moved));
    const double between = MeanDifference(Render(one), Render(PlainDepiction(subject_class, 2)));
    EXPECT_GT(within, 0) << Name(subject_class);
    EXPECT_GT(between, within) << Name(subject_class);
  }
}

TEST(WorldTest, AccessoriesShow) {
  for (int c = 0; c < kClasses; ++c) {
    const auto subject_class = static_cast<SubjectClass>(c);
    const Depiction bare = PlainDepiction(subject_class, 5);
    for (auto accessory : {Accessory::kRedHat, Accessory::kBlackTopHat, Accessory::kRainbowScarf}) {
      if (!CanWear(subject_class, accessory)) continue;
      Depiction dressed = bare;
      dressed.accessory = accessory;
      EXPECT_GT(MeanDifference(Render(bare), Render(dressed)), 0.5) << Name(subject_class);
    }
  }
}

TEST(WorldTest, BodyIsMostlyOfThePrimaryColour) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const Identity identity = DrawIdentity(SubjectClass::kDog, seed);
    const auto texture = BodyTexture(identity);
    const auto& rgb = identity.primary_rgb;
    const cv::Scalar primary(rgb[0], rgb[1], rgb[2]);
    cv::Mat1b same;
    cv::inRange(texture, primary - cv::Scalar::all(1), primary + cv::Scalar::all(1), same);
    EXPECT_GT(cv::countNonZero(same), .5 * same.total()) << seed;
  }
}

}  // namespace
}  // namespace likeness::mini
