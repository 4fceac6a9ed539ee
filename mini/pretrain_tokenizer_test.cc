#include "mini/pretrain_tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "mini/captions.h"
#include "mini/pretrain_unet.h"
#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"

namespace likeness::mini {
namespace {

TEST(PretrainTokenizer, HoldsEveryWordWhole) {
  TempDir dir;
  PretrainTokenizer({.directory = dir.path()});
  const auto tokenizer = LoadPretrainedTokenizer(dir.path());
  for (const auto& word : VocabularyWords()) EXPECT_TRUE(tokenizer.IsSingleToken(word)) << word;
  EXPECT_LT(tokenizer.vocab_size(), 2500);
}

TEST(PretrainTokenizer, LongestCaptionFitsTheContext) {
  TempDir dir;
  PretrainTokenizer({.directory = dir.path()});
  const auto tokenizer = LoadPretrainedTokenizer(dir.path());
  for (uint64_t i = 0; i < 200; ++i) {
    EXPECT_LE(tokenizer.Encode(FullCaption(PretrainingDepiction(i))).size(), kContextLength - 2u);
  }
}

TEST(RareWords, AreShortAndInNoCaption) {
  const auto captions = CaptionWords();
  for (const auto& word : RareWords()) {
    EXPECT_LE(word.size(), 3u);
    EXPECT_EQ(std::count(captions.begin(), captions.end(), word), 0) << word;
  }
}

TEST(LoadPretrainedTokenizer, NamesTheStageThatIsMissing) {
  TempDir dir;
  EXPECT_THROW(LoadPretrainedTokenizer(dir.path()), Error);
}

}  // namespace
}  // namespace likeness::mini
