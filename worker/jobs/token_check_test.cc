#include "worker/jobs/token_check.h"

#include <gtest/gtest.h>

#include "worker/tokenizers/vocabulary_trainer.h"

namespace likeness {
namespace {

TEST(TokenCheckTest, WordsThatTheModelLearnedAreKnown) {
  const auto tokenizer = TrainVocabulary({"dog", "red", "teapot", "zwx"}, 16);
  EXPECT_TRUE(IsKnownWord("teapot", tokenizer));
  EXPECT_TRUE(IsKnownWord("dog", tokenizer));
  EXPECT_TRUE(IsKnownWord("Red", tokenizer));
  EXPECT_FALSE(IsKnownWord("zwx", tokenizer));    // one rare token
  EXPECT_FALSE(IsKnownWord("rover", tokenizer));  // cut into pieces: no meaning of its own
}

}  // namespace
}  // namespace likeness
