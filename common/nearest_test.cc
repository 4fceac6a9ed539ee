#include "common/nearest.h"

#include "gtest/gtest.h"

namespace likeness {
namespace {

TEST(NearestTest, IsTheWordThatIsFewestEditsAway) {
  EXPECT_EQ(Nearest("trian", {"list", "train", "retrain"}), "train");
  EXPECT_EQ(Nearest("lst", {"list", "last"}), "list");
}

TEST(NearestTest, IsNoneIfAllAreFar) {
  EXPECT_EQ(Nearest("fly", {"train", "generate"}), "");
  EXPECT_EQ(Nearest("ab", {"cd"}), "");  // as far as any two letters
  EXPECT_EQ(Nearest("train", {}), "");
}

}  // namespace
}  // namespace likeness
