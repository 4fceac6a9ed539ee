#include "worker/evaluation/plain_prompt.h"

#include <gtest/gtest.h>

namespace likeness {
namespace {

TEST(WithoutTokens, LeavesOutWholeWordsAlone) {
  EXPECT_EQ(WithoutTokens("a sks dog in the snow", {"sks"}), "a dog in the snow");
  EXPECT_EQ(WithoutTokens("skses sks", {"sks"}), "skses");
  EXPECT_EQ(WithoutTokens("a dog", {""}), "a dog");
  EXPECT_EQ(WithoutTokens("SKS, a dog", {"sks"}), ", a dog");
  EXPECT_EQ(WithoutTokens("sks's collar", {"sks"}), "collar");
  EXPECT_EQ(WithoutTokens("a dog (sks)", {"sks"}), "a dog ()");
}

TEST(WithoutTokens, LeavesOutThoseOfAllSubjects) {
  EXPECT_EQ(WithoutTokens("a sks dog beside a zwx cat", {"sks", "zwx"}), "a dog beside a cat");
  EXPECT_EQ(WithoutTokens("a sks-2 cat and a sks dog", {"sks", "sks-2"}), "a cat and a dog");
}

TEST(WithoutSubject, LeavesOutItsArticleTokenAndClass) {
  const auto scene = [](const std::string& prompt) {
    return WithoutSubject(prompt, "sks", "dog", {"sks", "sks-2", "zwx"});
  };
  EXPECT_EQ(scene("a photo of a sks dog in the snow"), "a photo of in the snow");
  EXPECT_EQ(scene("The SKS Dog on a beach"), "on a beach");
  EXPECT_EQ(scene("a red sks dog"), "a red");
  EXPECT_EQ(scene("a sks dog"), "");
  EXPECT_EQ(scene("pizza, sks dog's bowl and the sks"), "pizza, bowl and");
  // Another one is part of the scene.
  EXPECT_EQ(scene("a sks dog chasing a dog"), "chasing a dog");
  EXPECT_EQ(scene("a sks dog beside a zwx cat"), "beside a cat");
  EXPECT_EQ(scene("a sks-2 cat beside a sks dog"), "a cat beside");
  EXPECT_EQ(scene("a sks doghouse"), "doghouse");
}

TEST(WithoutSubject, WithoutATokenTheClassIsTheSubject) {
  EXPECT_EQ(WithoutSubject("A kitten chasing the kitten", "", "kitten", {}), "chasing");
  EXPECT_EQ(WithoutSubject("a dog runs", "", "", {}), "a dog runs");
}

TEST(WithoutSubject, SpacesOfTheClassNounDoNotCount) {
  EXPECT_EQ(WithoutSubject("a dog runs", "", " dog", {}), "runs");
  EXPECT_EQ(WithoutSubject("a sks piggy bank on a shelf", "sks", " piggy  bank", {"sks"}),
            "on a shelf");
  EXPECT_EQ(WithoutSubject("a piggy bank on a shelf", "", "piggy bank", {}), "on a shelf");
  EXPECT_EQ(WithoutSubject("a dog", "", "", {}), "a dog");
  EXPECT_EQ(WithoutSubject("a sks in the snow", "sks", "", {"sks"}), "in the snow");
}

TEST(NamesToken, OfTokensThatHoldEachOtherOnlyTheOneThatIsThere) {
  const std::vector<std::string> tokens = {"sks", "sks-2"};
  EXPECT_TRUE(NamesToken("a SKS dog", "sks", tokens));
  EXPECT_TRUE(NamesToken("a dog like sks's", "sks", tokens));
  EXPECT_FALSE(NamesToken("a dog", "sks", tokens));
  EXPECT_FALSE(NamesToken("skses", "sks", tokens));
  EXPECT_FALSE(NamesToken("a sks-2 cat", "sks", tokens));
  EXPECT_TRUE(NamesToken("a sks-2 cat", "sks-2", tokens));
  EXPECT_TRUE(NamesToken("a sks-2 cat beside a sks dog", "sks", tokens));
}

}  // namespace
}  // namespace likeness
