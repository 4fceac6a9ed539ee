#include "worker/families/prompt_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/families/tiny_model.h"
#include "worker/tokenizers/tiny_tokenizer.h"

namespace likeness {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

constexpr TextOptions kLong{.long_prompts = true};
constexpr TextOptions kWeights{.weights = true};

class PromptTokensTest : public testing::Test {
 protected:
  PromptTokens Read(const std::string& text, const TextOptions& options) const {
    return ReadPrompt(tokenizer_, text, {}, options);
  }

  ClipTokenizer tokenizer_ = TinyTokenizer(6);  // four of them for the text
};

TEST_F(PromptTokensTest, AShortPromptIsTheTokenizersRow) {
  for (const auto& options : {TextOptions{}, kLong, kWeights}) {
    for (const char* text : {"", "a b", "a b c d"}) {
      const auto read = Read(text, options);
      EXPECT_EQ(read.Rows(tokenizer_), 1);
      EXPECT_EQ(read.Row(tokenizer_, 0).ids, tokenizer_.EncodePadded(text));
      EXPECT_FALSE(read.weighted());
    }
  }
  EXPECT_EQ(Read("a b c d e", {}).Row(tokenizer_, 0).ids, tokenizer_.EncodePadded("a b c d e"));
}

TEST_F(PromptTokensTest, ALongOneIsCutAfterAsManyTokensAsARowHolds) {
  const auto read = Read("a b c d e", kLong);
  ASSERT_EQ(read.Rows(tokenizer_), 2);
  EXPECT_EQ(read.Row(tokenizer_, 0).ids, tokenizer_.EncodePadded("a b c d"));
  EXPECT_EQ(read.Row(tokenizer_, 1).ids, tokenizer_.EncodePadded("e"));
  EXPECT_EQ(read.Row(tokenizer_, 2).ids, tokenizer_.EncodePadded("")) << "beyond it is nothing";
}

TEST_F(PromptTokensTest, EachTokenOfAPartWeighsAsThePart) {
  const auto row = Read("a (b c:1.5)", kWeights).Row(tokenizer_, 0);
  EXPECT_EQ(row.ids, tokenizer_.EncodePadded("a b c"));
  EXPECT_THAT(row.weights, ElementsAre(1, 1, 1.5, 1.5, 1, 1));
  EXPECT_TRUE(row.weighted());
  EXPECT_THAT(Read("a (b c:1.5)", {}).weights, Each(1));
}

class LongPromptTest : public testing::Test {
 protected:
  torch::Tensor Encode(const std::vector<Prompt>& prompts, const TextOptions& options = {}) {
    torch::NoGradGuard no_grad;
    return model_.Encode(prompts, {16, 16}, options).context_NSD;
  }

  StableDiffusion model_ = [] {
    torch::manual_seed(7);
    return TinyModel();
  }();
  const std::string ten_ = "a b c d e f g h i j";  // as many as a row holds
};

TEST_F(LongPromptTest, AShortPromptIsReadAsWithoutTheOption) {
  for (const char* text : {"", "a dog", "a b c d e f g h i j"}) {
    EXPECT_TRUE(torch::equal(Encode({text}, kLong), Encode({text})));
    EXPECT_TRUE(torch::equal(Encode({text}, kWeights), Encode({text})));
  }
}

TEST_F(LongPromptTest, ItsRowsStandOneBehindTheOther) {
  const auto both = Encode({ten_ + " k l"}, kLong);
  ASSERT_EQ(both.sizes(), at::IntArrayRef({1, 24, 16}));
  EXPECT_TRUE(torch::allclose(both.slice(1, 0, 12), Encode({ten_}), 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(both.slice(1, 12), Encode({"k l"}), 1e-5, 1e-6));
}

TEST_F(LongPromptTest, OthersBesideItAreFilledUpWithEmptyOnes) {
  const auto told = Encode({"z", ten_ + " k l"}, kLong);
  ASSERT_EQ(told.sizes(), at::IntArrayRef({2, 24, 16}));
  EXPECT_TRUE(torch::allclose(told[0].slice(0, 0, 12), Encode({"z"})[0], 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(told[0].slice(0, 12), Encode({""})[0], 1e-5, 1e-6));
}

// A norm that was never trained gives states whose mean is zero, but for rounding.
TEST_F(LongPromptTest, WeightsOfStatesWithoutAMeanOnlyMultiply) {
  const auto plain = Encode({"a b"}), weighted = Encode({"a (b:2)"}, kWeights);
  EXPECT_TRUE(torch::allclose(weighted[0][2], 2 * plain[0][2], 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(weighted[0][1], plain[0][1], 1e-5, 1e-6));
}

TEST_F(LongPromptTest, WeightsMultiplyTheirTokensAndKeepTheMean) {
  torch::NoGradGuard no_grad;
  for (auto& parameter : model_.parts().text_encoder->parameters()) {
    if (parameter.dim() == 1) parameter.add_(0.1 * torch::randn_like(parameter));
  }
  const auto plain = Encode({"a b"}), weighted = Encode({"a (b:2)"}, kWeights);
  EXPECT_TRUE(torch::allclose(weighted.mean(), plain.mean(), 1e-4, 1e-6));
  const auto ratio = (weighted / plain)[0].mean(1);  // of each token
  EXPECT_NEAR((ratio[2] / ratio[1]).item<float>(), 2, 1e-3);
  EXPECT_NEAR((ratio[3] / ratio[1]).item<float>(), 1, 1e-3);
}

}  // namespace
}  // namespace likeness
