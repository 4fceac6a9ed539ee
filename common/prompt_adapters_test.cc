#include "common/prompt_adapters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace likeness {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(PromptAdaptersTest, AdaptersAreTakenOutOfTheText) {
  const auto parsed = ParsePromptAdapters("a dog <lora:rex:0.8> at sea <lora:ink-2>");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->text, "a dog at sea");
  ASSERT_EQ(parsed->adapters.size(), 2);
  EXPECT_EQ(parsed->adapters[0].id, "rex");
  EXPECT_EQ(parsed->adapters[0].strength, 0.8);
  EXPECT_EQ(parsed->adapters[1].id, "ink-2");
  EXPECT_EQ(parsed->adapters[1].strength, 1);
  EXPECT_EQ(ParsePromptAdapters("<lora:rex:-1> a dog")->text, "a dog");
  EXPECT_EQ(ParsePromptAdapters("a<lora:rex:1>dog")->text, "adog");
  EXPECT_EQ(ParsePromptAdapters("<lora:rex:1>")->text, "");
}

TEST(PromptAdaptersTest, OtherTextStaysAsItIs) {
  for (const char* prompt : {"", "a dog", "a <dog:1> lora:rex:1>", "1 < 2 > 0 ", "<Lora:rex:1>"}) {
    const auto parsed = ParsePromptAdapters(prompt);
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(parsed->text, prompt);
    EXPECT_THAT(parsed->adapters, IsEmpty());
  }
}

TEST(PromptAdaptersTest, WhatIsWrongIsNamed) {
  const auto message = [](const char* prompt) {
    return std::string(ParsePromptAdapters(prompt).status().message());
  };
  EXPECT_THAT(message("<lora:Rex Dog:1>"), HasSubstr("\"<lora:Rex Dog:1>\" names no model"));
  EXPECT_THAT(message("<lora::1>"), HasSubstr("names no model"));
  EXPECT_THAT(message("<lora:../rex:1>"), HasSubstr("names no model"));
  for (const char* strength : {"", "high", "11", "nan", "1:2", "-10.5"}) {
    EXPECT_THAT(message(absl::StrCat("<lora:rex:", strength, ">").c_str()),
                HasSubstr("no number from -10 to 10"));
  }
  EXPECT_THAT(message("<lora:rex:1> <lora:rex:2>"), HasSubstr("\"rex\" is named twice"));
  EXPECT_THAT(message("a dog <lora:rex"), HasSubstr("does not end with"));
}

TEST(PromptAdaptersTest, EachModelIsNamedOnceForAJobThatAllowsIt) {
  v1::GenerateSpec spec;
  spec.add_prompts("a <lora:rex:1>");
  spec.add_prompts("b <lora:ink:1> <lora:rex:2>");
  EXPECT_THAT(PromptAdapterIds(spec), IsEmpty());
  spec.set_prompt_adapters(true);
  EXPECT_THAT(PromptAdapterIds(spec), ElementsAre("rex", "ink"));
}

}  // namespace
}  // namespace likeness
