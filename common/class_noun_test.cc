#include "common/class_noun.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace likeness {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Pairs of token and class noun.
std::vector<std::string> WarningsOfSubjects(
    const std::vector<std::pair<std::string, std::string>>& subjects) {
  v1::FineTuneSpec spec;
  for (const auto& [token, noun] : subjects) {
    v1::Subject& subject = *spec.add_subjects();
    if (!token.empty()) subject.set_token(token);
    subject.set_class_noun(noun);
  }
  return ClassNounWarnings(spec);
}

TEST(ClassNounTest, AnArticleIsOdd) {
  for (const char* noun : {"a dog", "An apple", "the rubber duck", "  a dog"}) {
    EXPECT_THAT(WarningsOfSubjects({{"", noun}}), ElementsAre(HasSubstr(noun)));
  }
  EXPECT_THAT(WarningsOfSubjects({{"", "  The duck"}}),
              ElementsAre(HasSubstr("leave the \"The\" out")));
}

TEST(ClassNounTest, ANounAloneIsNot) {
  for (const char* noun : {"dog", "rubber duck", "a", "ant hill", "theatre mask", ""}) {
    EXPECT_THAT(WarningsOfSubjects({{"", noun}, {"sks", noun}}), IsEmpty()) << noun;
  }
}

TEST(ClassNounTest, TheTokenIsNoWordForTheClass) {
  EXPECT_THAT(
      WarningsOfSubjects({{"sks", "sks dog"}}),
      ElementsAre("the class noun \"sks dog\" contains the token \"sks\", so that prompts for the "
                  "class name the subject too; use a class noun without it, or another token"));
  EXPECT_THAT(WarningsOfSubjects({{"dog", "dog"}}), ElementsAre(HasSubstr("the token \"dog\"")));
  EXPECT_THAT(WarningsOfSubjects({{"SKS", "toy-sks"}}), ElementsAre(HasSubstr("toy-sks")));
  EXPECT_THAT(WarningsOfSubjects({{"sks", "dog"}, {"zwx", "sks cat"}}),
              ElementsAre(HasSubstr("\"sks cat\" contains the token \"sks\"")));
  EXPECT_THAT(WarningsOfSubjects({{"dog", "doghouse"}}), IsEmpty());
}

}  // namespace
}  // namespace likeness
