#include "worker/methods/context_features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "worker/families/tiny_model.h"
#include "worker/tokenizers/tiny_tokenizer.h"

namespace likeness {
namespace {

TEST(ContextFeaturesTest, RowsOfWordsAreThoseOfThePromptFromTheFirstToTheEnd) {
  torch::manual_seed(1);
  StableDiffusion model = TinyModel();  // a token for each letter, ten to a prompt
  const auto rows = FeaturesOfWords(model, {"z"});
  const auto context = [&](const char* prompt) {
    return model.Encode({prompt}, {16, 16}).context_NSD[0].detach().to(torch::kFloat64);
  };
  EXPECT_TRUE(torch::equal(rows, context("a z").slice(0, 2, 4)));
}

TEST(ContextFeaturesTest, RowsOfACaptionAfterAPromptBeginWithItsOwnFirstToken) {
  torch::manual_seed(1);
  StableDiffusion model = TinyModel();
  const auto context = model.Encode({"a z bc"}, {16, 16}).context_NSD[0].detach();
  EXPECT_TRUE(torch::equal(FeaturesOfCaptions(model, {"bc"}, PromptOfWords("z"), {}),
                           context.to(torch::kFloat64).slice(0, 3, 6)));
}

TEST(ContextFeaturesTest, OfWhatDoesNotFitIntoAPromptTheEndIsLeft) {
  torch::manual_seed(1);
  StableDiffusion model = TinyModel();
  EXPECT_EQ(FeaturesOfWords(model, {"zwxabcdefg"}).size(0), 10);  // all but "g", and the end
  EXPECT_EQ(FeaturesOfCaptions(model, {"a b", "a"}, "", {}).size(0), 4 + 3);
}

TEST(ContextFeaturesTest, CaptionsNameEveryWordOfASmallVocabularyButThoseLeftOut) {
  const auto captions = VocabularyCaptions(TinyTokenizer(12), {"q"});
  EXPECT_EQ(captions.size(), 4);  // of 25 words
  EXPECT_EQ(captions.front(), "a e i m r v z d");
  std::set<std::string> named;
  for (const std::string& caption : captions) {
    for (size_t place = 0; place < caption.size(); place += 2) {
      named.insert(caption.substr(place, 1));
    }
  }
  EXPECT_EQ(named.size(), 25);
  EXPECT_THAT(named, testing::Not(testing::Contains("q")));
}

TEST(ContextFeaturesTest, CaptionsOfALargeVocabularyAreSpreadOverIt) {
  std::vector<std::string> vocabulary;
  for (char first = 'a'; first <= 'z'; ++first) vocabulary.emplace_back(1, first);
  std::vector<std::pair<std::string, std::string>> merges;
  for (char last = 'a'; last <= 'z'; ++last) vocabulary.push_back(std::string(1, last) + "</w>");
  const size_t letters = vocabulary.size();
  for (char a = 'a'; a <= 'z'; ++a) {
    for (char b = 'a'; b <= 'z'; ++b) {
      merges.emplace_back(std::string(1, a), std::string(1, b) + "</w>");
      vocabulary.push_back(merges.back().first + merges.back().second);
    }
  }
  for (size_t i = letters; i < letters + 26 * 26; ++i) {
    for (const char first : {'w', 'x', 'y', 'z'}) {
      merges.emplace_back(std::string(1, first), vocabulary[i]);
      vocabulary.push_back(merges.back().first + merges.back().second);
    }
  }
  vocabulary.emplace_back("<|startoftext|>");
  vocabulary.emplace_back("<|endoftext|>");
  const auto captions = VocabularyCaptions(ClipTokenizer(vocabulary, merges), {});
  EXPECT_EQ(captions.size(), 400);
  EXPECT_EQ(std::set<std::string>(captions.begin(), captions.end()).size(), 400);
  EXPECT_THAT(captions.front(), testing::StartsWith("a "));
}

TEST(ContextFeaturesTest, EncodingCaptionsStopsWherePollThrows) {
  torch::manual_seed(1);
  StableDiffusion model = TinyModel();
  EXPECT_THROW(FeaturesOfCaptions(model, {"a"}, "", [] { throw std::runtime_error("stop"); }),
               std::runtime_error);
}

}  // namespace
}  // namespace likeness
