#include "mini/captions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "worker/base/error.h"

namespace likeness::mini {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

Depiction Example() {
  Depiction depiction = PretrainingDepiction(0);
  depiction.identity.subject_class = SubjectClass::kDog;
  depiction.identity.primary = Colour::kOrange;
  depiction.identity.secondary = Colour::kWhite;
  depiction.identity.pattern = Pattern::kStriped;
  depiction.accessory = Accessory::kRedHat;
  depiction.scene = Scene::kSnow;
  return depiction;
}

TEST(CaptionTest, FullCaptionSaysEverything) {
  EXPECT_EQ(FullCaption(Example()),
            "an orange and white striped dog wearing a red hat in the snow");
}

TEST(CaptionTest, PlainIsNotSaid) {
  Depiction depiction = Example();
  depiction.identity.pattern = Pattern::kPlain;
  depiction.accessory = Accessory::kNone;
  EXPECT_EQ(FullCaption(depiction), "an orange and white dog in the snow");
}

TEST(CaptionTest, PartsAreLeftOutAtTheirRates) {
  constexpr int kDraws = 20000;
  const Depiction depiction = Example();
  Random random(1);
  int empty = 0, coloured = 0, two_colours = 0, scene = 0, hat = 0;
  for (int i = 0; i < kDraws; ++i) {
    const std::string caption = Caption(depiction, random);
    empty += caption.empty();
    coloured += caption.starts_with("an orange");
    two_colours += caption.starts_with("an orange and white");
    scene += caption.ends_with("in the snow");
    hat += caption.find("red hat") != std::string::npos;
  }
  EXPECT_NEAR(empty / double{kDraws}, .10, .01);
  const double said = kDraws - empty;
  EXPECT_GT(coloured / said, .80);
  EXPECT_NEAR(two_colours / said, .21, .02);
  EXPECT_NEAR(scene / said, .85, .01);
  EXPECT_NEAR(hat / said, .92, .01);
}

TEST(CaptionTest, EveryWordIsInTheWordList) {
  const auto words = CaptionWords();
  Random random(2);
  for (uint64_t index = 0; index < 2000; ++index) {
    std::istringstream caption(Caption(PretrainingDepiction(index), random));
    for (std::string word; caption >> word;) ASSERT_THAT(words, Contains(word));
  }
}

TEST(CaptionTest, ClassesAreParsedByName) {
  for (int c = 0; c < kClasses; ++c) {
    const auto subject_class = static_cast<SubjectClass>(c);
    EXPECT_EQ(ParseClass(Name(subject_class)), subject_class);
  }
}

TEST(CaptionTest, UnknownClassIsRefusedWithTheKnownOnes) {
  try {
    ParseClass("horse");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("\"horse\""));
    EXPECT_THAT(error.what(), HasSubstr("dog, cat"));
  }
}

}  // namespace
}  // namespace likeness::mini
