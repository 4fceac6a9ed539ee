#include "common/number_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace likeness {
namespace {

TEST(NumberTextTest, NumbersAreWrittenAsPeopleDo) {
  EXPECT_EQ(NumberText(0.05), "0.05");
  EXPECT_EQ(NumberText(2.0), "2");
  EXPECT_EQ(NumberText(-10.0), "-10");
  EXPECT_EQ(NumberText(16384.0), "16384");
  EXPECT_EQ(NumberText(0.0001), "0.0001");
  EXPECT_EQ(NumberText(1e-6), "1e-06");
  EXPECT_EQ(NumberText(0.1F), "0.1");
}

TEST(NumberTextTest, NumbersThatDifferHaveDifferentTexts) {
  EXPECT_EQ(NumberText(1.0000001), "1.0000001");
  EXPECT_EQ(NumberText(std::nextafter(1.0, 2.0)), "1.0000000000000002");
  EXPECT_EQ(NumberText(1000000.5), "1.0000005e+06");
}

TEST(NumberTextTest, WhatIsNotFiniteHasItsName) {
  EXPECT_EQ(NumberText(-std::numeric_limits<double>::quiet_NaN()), "nan");
  EXPECT_EQ(NumberText(-std::numeric_limits<double>::infinity()), "-inf");
}

}  // namespace
}  // namespace likeness
