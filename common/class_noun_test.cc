#include "common/class_noun.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace likeness {
namespace {

TEST(ClassNounTest, AnArticleIsOdd) {
  for (const char* noun : {"a dog", "An apple", "the rubber duck", "  a dog"}) {
    const auto warning = ClassNounWarning(noun);
    ASSERT_TRUE(warning.has_value()) << noun;
    EXPECT_THAT(*warning, testing::HasSubstr(noun));
  }
}

TEST(ClassNounTest, ANounAloneIsNot) {
  for (const char* noun : {"dog", "rubber duck", "a", "ant hill", "theatre mask", ""}) {
    EXPECT_FALSE(ClassNounWarning(noun).has_value()) << noun;
  }
}

}  // namespace
}  // namespace likeness
