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

TEST(PromptsTest, SubjectsAreNumberedWhereThereAreSeveral) {
  v1::FineTuneSpec spec;
  const auto add = [&](const char* token, const char* class_noun) {
    v1::Subject& subject = *spec.add_subjects();
    subject.set_token(token);
    subject.set_class_noun(class_noun);
  };
  add("zwx", "dog");
  EXPECT_EQ(FillPrompt("{subject} {subject1}", WordsOf(spec)), "zwx dog {subject1}");
  add("abc", "cat");
  const char* prompt = "{subject}, {subject1}, {subject2}, {class}, {class2}, {subject3}";
  EXPECT_EQ(FillPrompt(prompt, WordsOf(spec)), "zwx dog, zwx dog, abc cat, dog, cat, {subject3}");
  EXPECT_EQ(FillPrompt(prompt, WordsOf(spec, 1)),
            "abc cat, zwx dog, abc cat, cat, cat, {subject3}");
}

TEST(PromptsTest, TokensAreThoseOfAllSubjects) {
  EXPECT_EQ(TokensOf({"zwx", "dog", {{"zwx", "dog"}, {"abc", "cat"}}}),
            (std::vector<std::string>{"zwx", "abc"}));
  EXPECT_EQ(TokensOf({"zwx", "dog"}), std::vector<std::string>{"zwx"});
  EXPECT_TRUE(TokensOf({}).empty());
}

TEST(PromptsTest, WithoutAClassNounTheSubjectIsItsTokenAlone) {
  EXPECT_EQ(FillPrompt("a {subject} beside a {class}", {"zwx", ""}), "a zwx beside a {class}");
  EXPECT_EQ(FillPrompt("{subject2} and {class2}", {"zwx", "dog", {{"zwx", "dog"}, {"abc", ""}}}),
            "abc and {class2}");
}

TEST(PromptsTest, ABaseModelHasNothingToFillIn) {
  EXPECT_EQ(FillPrompt("a {subject}", {}), "a {subject}");
}

TEST(PromptsTest, AFilledInWordIsNotFilledInAgain) {
  EXPECT_EQ(FillPrompt("{subject}", {"{class}", "dog"}), "{class} dog");
}

}  // namespace
}  // namespace likeness
