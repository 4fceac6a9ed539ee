#include "worker/tokenizers/rare_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/tokenizers/vocabulary_trainer.h"

namespace likeness {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(RareTokensTest, AreThreeDifferentConsonantsTheLastMergedFirst) {
  // The more often a word is listed, the earlier it is merged.
  const auto tokenizer = TrainVocabulary(
      {"rhf", "rhf", "rhf", "zwx", "zwx", "pln", "a", "dog", "sky", "kkk", "fck", "shld"}, 16);
  EXPECT_THAT(RareTokens(tokenizer, 10), ElementsAre("pln", "zwx", "rhf"));
  EXPECT_THAT(RareTokens(tokenizer, 1), ElementsAre("pln"));
}

TEST(RareTokensTest, AVocabularyMayHaveNone) {
  EXPECT_THAT(RareTokens(TrainVocabulary({"a", "dog", "red"}, 16), 10), IsEmpty());
}

}  // namespace
}  // namespace likeness
