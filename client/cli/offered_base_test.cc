#include "client/cli/offered_base.h"

#include <initializer_list>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace likeness::client {
namespace {

using ::testing::HasSubstr;

v1::Capabilities Offering(std::initializer_list<const char*> names) {
  v1::Capabilities capabilities;
  for (const char* name : names) capabilities.add_base_models()->set_name(name);
  return capabilities;
}

std::string Said(const v1::Capabilities& capabilities, const std::string& argument) {
  const auto chosen = ChooseOfferedBase(capabilities, argument);
  return chosen.ok() ? chosen->name() : std::string(chosen.status().message());
}

TEST(OfferedBaseTest, TheOnlyOneIsMeantWhereNoneIsNamed) {
  EXPECT_EQ(Said(Offering({"baseModels/mini"}), ""), "baseModels/mini");
  EXPECT_EQ(FindOfferedBase(Offering({"baseModels/mini"}), "")->name(), "baseModels/mini");
  EXPECT_EQ(FindOfferedBase(Offering({"baseModels/mini", "baseModels/sd"}), ""), nullptr);
}

TEST(OfferedBaseTest, AnotherThanTheNamedIsNeverMeant) {
  EXPECT_EQ(Said(Offering({"baseModels/mini", "baseModels/sd"}), "sd"), "baseModels/sd");
  EXPECT_EQ(FindOfferedBase(Offering({"baseModels/mini"}), "baseModels/sd"), nullptr);
}

TEST(OfferedBaseTest, WhatIsOfferedIsSaid) {
  EXPECT_EQ(Said(Offering({"baseModels/mini"}), "sd"), "--base is 'sd'; offered are mini.");
  EXPECT_EQ(Said(Offering({"baseModels/mini", "baseModels/sd"}), ""),
            "--base is missing; offered are mini, sd.");
  EXPECT_THAT(Said(Offering({}), "sd"), HasSubstr("no worker has offered a base model yet"));
}

}  // namespace
}  // namespace likeness::client
