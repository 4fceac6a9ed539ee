#include "worker/tokenizers/vocabulary_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "worker/base/error.h"

namespace likeness {
namespace {

using ::testing::HasSubstr;

const std::vector<std::string> kWords = {"dog",   "dogs", "cat", "the",  "teapot",       "there",
                                         "other", "sks",  "zwx", "qy",   "red",          "!",
                                         "7",     "'s",   "Car", "cart", "\u00e9t\u00e9"};

TEST(VocabularyTrainerTest, EveryWordIsOneToken) {
  const auto tokenizer = TrainVocabulary(kWords, 28);
  for (const auto& word : kWords) EXPECT_TRUE(tokenizer.IsSingleToken(word)) << word;
  EXPECT_FALSE(tokenizer.IsSingleToken("god"));
  EXPECT_EQ(tokenizer.model_max_length(), 28);
}

TEST(VocabularyTrainerTest, TheLayoutIsClips) {
  const auto tokenizer = TrainVocabulary(kWords, 28);
  EXPECT_EQ(tokenizer.IdToToken(0), "!");
  EXPECT_EQ(tokenizer.IdToToken(256), "!</w>");
  EXPECT_EQ(tokenizer.eos_id(), tokenizer.vocab_size() - 1);
  EXPECT_EQ(tokenizer.bos_id(), tokenizer.vocab_size() - 2);
  EXPECT_LE(tokenizer.vocab_size(), 514 + static_cast<int>(tokenizer.merges().size()));
}

TEST(VocabularyTrainerTest, FrequentPairsComeFirst) {
  const auto tokenizer = TrainVocabulary({"ab", "ab", "ab", "cd", "cd", "ef"}, 8);
  EXPECT_EQ(tokenizer.merges().at(0), std::pair(std::string("a"), std::string("b</w>")));
  EXPECT_EQ(tokenizer.merges().at(1), std::pair(std::string("c"), std::string("d</w>")));
}

TEST(VocabularyTrainerTest, TheOrderOfWordsDoesNotMatter) {
  auto reversed = kWords;
  std::reverse(reversed.begin(), reversed.end());
  EXPECT_EQ(TrainVocabulary(kWords, 28).merges(), TrainVocabulary(reversed, 28).merges());
}

TEST(VocabularyTrainerTest, AWordOfSeveralPiecesIsRefused) {
  for (std::string word : {"", " ", "two words", "a1", "12", "don't"}) {
    try {
      TrainVocabulary({"dog", word}, 28);
      ADD_FAILURE() << word << " was taken";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
      EXPECT_THAT(e.what(), HasSubstr("\"" + word + "\""));
    }
  }
}

}  // namespace
}  // namespace likeness
