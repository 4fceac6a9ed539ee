#include "worker/jobs/prompts.h"

#include <gtest/gtest.h>

namespace likeness {
namespace {

TEST(PromptsTest, FillsEveryPlace) {
  const PromptWords words{"zwx", "dog"};
  EXPECT_EQ(FillPrompt("a {subject} beside a {class}, {subject}", words),
            "a zwx dog beside a dog, zwx dog");
  EXPECT_EQ(FillPrompt("{Subject} {other} {", words), "{Subject} {other} {");
  EXPECT_EQ(FillPrompt("", words), "");
}

TEST(PromptsTest, ABaseModelHasNothingToFillIn) {
  EXPECT_EQ(FillPrompt("a {subject}", {}), "a {subject}");
}

TEST(PromptsTest, AFilledInWordIsNotFilledInAgain) {
  EXPECT_EQ(FillPrompt("{subject}", {"{class}", "dog"}), "{class} dog");
}

}  // namespace
}  // namespace likeness
