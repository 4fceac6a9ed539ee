#include "client/cli/enum_flag.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "likeness/v1/fine_tune.pb.h"
#include "likeness/v1/judge.pb.h"

namespace likeness::client {
namespace {

TEST(EnumFlagTest, ValuesAreWordsAndBackAgain) {
  EXPECT_EQ(EnumWordsWithBars<v1::Precision>(), "fp32|bf16|fp16|bf16_weights");
  EXPECT_EQ(EnumWord(v1::OPTIMIZER_ADAMW_8BIT), "adamw_8bit");
  for (const auto* values : {v1::Optimizer_descriptor(), v1::Measure_descriptor(),
                             v1::LearningRateSchedule_descriptor(), v1::StopRule_descriptor()}) {
    for (const std::string& word : EnumWords(*values)) {
      EXPECT_EQ(EnumWord(*values, ParseEnumWord(*values, "flag", word).value()), word);
    }
  }
}

TEST(EnumFlagTest, DashesAndCapitalsAreTaken) {
  EXPECT_EQ(ParseEnumFlag<v1::Optimizer>("optimizer", "AdamW-8bit").value(),
            v1::OPTIMIZER_ADAMW_8BIT);
  EXPECT_EQ(ParseEnumFlag<v1::Optimizer>("optimizer", "").value(), v1::OPTIMIZER_UNSPECIFIED);
}

TEST(EnumFlagTest, WhatIsNoWordIsRefusedWithThoseThatAre) {
  for (const char* text : {"fp8", "unspecified", "PRECISION_FP32"}) {
    EXPECT_THAT(std::string(ParseEnumFlag<v1::Precision>("precision", text).status().message()),
                ::testing::EndsWith(std::string("--precision is '") + text +
                                    "'; fp32, bf16, fp16, bf16_weights are allowed."));
  }
}

TEST(EnumFlagTest, ValueOfANewerServerHasNoWord) {
  EXPECT_EQ(EnumWord(static_cast<v1::Optimizer>(99)), "");
  EXPECT_EQ(EnumWord(v1::OPTIMIZER_UNSPECIFIED), "");
}

}  // namespace
}  // namespace likeness::client
