#include "common/placeholders.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace likeness {
namespace {

using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::Optional;
using ::testing::StartsWith;

TEST(PlaceholdersTest, ThoseThatAreFilledInAreAllowed) {
  EXPECT_EQ(PlaceholderError("a {subject} and a {class}, {subject2} and {class12}"), std::nullopt);
}

TEST(PlaceholdersTest, AWordThatIsNoneIsNamedWithWhatIsAllowed) {
  EXPECT_THAT(PlaceholderError("a {subject} near a {subjct}"),
              Optional(Eq("holds {subjct}, which is no placeholder; did you mean {subject}? "
                          "{subject} and {class} are allowed, and with several subjects "
                          "{subject1}, {class1}, {subject2} and so on")));
  EXPECT_THAT(PlaceholderError("{{token}}"),
              Optional(StartsWith("holds {token}, which is no placeholder; {subject} and")));
  EXPECT_THAT(PlaceholderError("{Subject}"), Optional(HasSubstr("did you mean {subject}?")));
  EXPECT_THAT(PlaceholderError("{subject_2}"), Optional(HasSubstr("{subject_2}")));
  EXPECT_THAT(PlaceholderError("{" + std::string(900, 'x') + "}")->size(), ::testing::Lt(300u));
}

TEST(PlaceholdersTest, ANumberThatNoSubjectHasIsFound) {
  EXPECT_EQ(PlaceOfNoSubject("a {subject2} beside a {class1}, {subject}", 2), std::nullopt);
  EXPECT_THAT(PlaceOfNoSubject("a {subject1} and {{subject3}}", 2), Optional(Eq("{subject3}")));
  EXPECT_THAT(PlaceOfNoSubject("a {class0}", 2), Optional(Eq("{class0}")));
  EXPECT_THAT(PlaceOfNoSubject("a {class01}", 2), Optional(Eq("{class01}")));
  EXPECT_THAT(PlaceOfNoSubject("a {subject1}", 1), Optional(Eq("{subject1}")));
  EXPECT_THAT(PlaceOfNoSubject("zwx dog beside {class12}", 0), Optional(Eq("{class12}")));
  for (const char* none : {"zwx dog", "{subject}", "{subject3", "{subjects 3}", "{class 3}"}) {
    EXPECT_EQ(PlaceOfNoSubject(none, 0), std::nullopt) << none;
  }
}

TEST(PlaceholdersTest, OtherBracesAreText) {
  EXPECT_EQ(PlaceholderError("a {red|blue} hat, {two words}, {}, }{, {a"), std::nullopt);
}

}  // namespace
}  // namespace likeness
