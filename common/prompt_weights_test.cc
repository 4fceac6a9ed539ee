#include "common/prompt_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

namespace likeness {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::pair<std::string, double>> Parts(std::string_view prompt) {
  std::vector<std::pair<std::string, double>> parts;
  const PromptWeights read = ParsePromptWeights(prompt);
  EXPECT_EQ(read.error, "") << prompt;
  for (const WeightedText& part : read.parts) parts.emplace_back(part.text, part.weight);
  return parts;
}

void ExpectRefused(std::string_view prompt, const std::string& message) {
  EXPECT_THAT(ParsePromptWeights(prompt).error, HasSubstr(message)) << prompt;
}

// The examples that parse_prompt_attention's own comment gives, and what it answers.
TEST(PromptWeightsTest, ReadsWhatTheReferenceDocuments) {
  EXPECT_THAT(Parts("normal text"), ElementsAre(std::pair("normal text", 1.0)));
  EXPECT_THAT(
      Parts("an (important) word"),
      ElementsAre(std::pair("an ", 1.0), std::pair("important", 1.1), std::pair(" word", 1.0)));
  EXPECT_THAT(Parts("(unbalanced"), ElementsAre(std::pair("unbalanced", 1.1)));
  EXPECT_THAT(Parts("\\(literal\\]"), ElementsAre(std::pair("(literal]", 1.0)));
  EXPECT_THAT(Parts("(unnecessary)(parens)"), ElementsAre(std::pair("unnecessaryparens", 1.1)));
  EXPECT_THAT(Parts("a (((house:1.3)) [on] a (hill:0.5), sun, (((sky)))."),
              ElementsAre(std::pair("a ", 1.0), std::pair("house", 1.5730000000000004),
                          std::pair(" ", 1.1), std::pair("on", 1.0), std::pair(" a ", 1.1),
                          std::pair("hill", 0.55), std::pair(", sun, ", 1.1),
                          std::pair("sky", 1.4641000000000006), std::pair(".", 1.1)));
}

TEST(PromptWeightsTest, WhatIsNoWeightIsText) {
  EXPECT_THAT(Parts(""), ElementsAre(std::pair("", 1.0)));
  EXPECT_THAT(Parts("ratio 16:9"), ElementsAre(std::pair("ratio 16:9", 1.0)));
  EXPECT_THAT(Parts("a :1.2) b"), ElementsAre(std::pair("a :1.2) b", 1.0)));
  EXPECT_THAT(Parts("a) b]"), ElementsAre(std::pair("a) b]", 1.0)));
  EXPECT_THAT(Parts("\\\\ \\x"), ElementsAre(std::pair("\\ x", 1.0)));
  EXPECT_THAT(Parts("a BREAK b"), ElementsAre(std::pair("a BREAK b", 1.0)));
}

TEST(PromptWeightsTest, WeightsMayHaveSignsAndBlanks) {
  EXPECT_THAT(Parts("(a: -0.5 )"), ElementsAre(std::pair("a", -0.5)));
  EXPECT_THAT(Parts("(a:+.5)"), ElementsAre(std::pair("a", 0.5)));
  EXPECT_THAT(Parts("(a:2.)"), ElementsAre(std::pair("a", 2.0)));
  EXPECT_THAT(Parts("[a]"), ElementsAre(std::pair("a", 1 / 1.1)));
}

TEST(PromptWeightsTest, NumbersThatAreNoneAreRefused) {
  ExpectRefused("(a:1.2.3)", "has the weight \"1.2.3\"; numbers from -100 to 100 are allowed");
  ExpectRefused("(a:.)", "\".\"");
  ExpectRefused("(a:101)", "\"101\"");
  ExpectRefused("(a:" + std::string(400, '9') + ")", "999...\"; numbers");
  ExpectRefused("((a:50):3)", "\"150\"");
}

}  // namespace
}  // namespace likeness
