#include "worker/families/new_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/base/error.h"
#include "worker/families/tiny_model.h"

namespace likeness {
namespace {

using ::testing::ElementsAre;

class NewWordsTest : public testing::Test {
 protected:
  std::vector<int64_t> Ids(const std::string& text) const {
    return EncodeWithWords(model_.tokenizer(), text, words_);
  }
  int64_t Plain(const std::string& letter) const { return model_.tokenizer().Encode(letter)[0]; }

  StableDiffusion model_ = TinyModel();
  int64_t first_ = model_.tokenizer().vocab_size();
  std::vector<NewWord> words_ = {{"zw", {torch::ones({2, 16})}}, {"q", {torch::ones({1, 16})}}};
};

TEST_F(NewWordsTest, AWordBecomesItsRowsWhereItStandsAlone) {
  EXPECT_THAT(Ids("a zw b"), ElementsAre(Plain("a"), first_, first_ + 1, Plain("b")));
  EXPECT_THAT(Ids("a ZW, q"), ElementsAre(Plain("a"), first_, first_ + 1, Plain(","), first_ + 2));
  EXPECT_EQ(Ids("a zwo"), model_.tokenizer().Encode("a zwo"));
  EXPECT_EQ(Ids("ozw"), model_.tokenizer().Encode("ozw"));
  EXPECT_THAT(Ids("zwo zw"),
              ElementsAre(Ids("zwo")[0], Ids("zwo")[1], Ids("zwo")[2], first_, first_ + 1));
}

TEST_F(NewWordsTest, OfTwoThatAreTheSameTheLastCounts) {
  words_.push_back({"zw", {torch::ones({1, 16})}});
  EXPECT_THAT(Ids("zw"), ElementsAre(first_ + 3));
}

// As where diffusers reads them from an export.
TEST_F(NewWordsTest, OfTwoAtOnePlaceTheLongerCountsInWhateverOrderTheyCome) {
  const NewWord longer{"zw-q", {torch::ones({1, 16})}};
  words_.push_back(longer);
  EXPECT_THAT(Ids("a zw-q"), ElementsAre(Plain("a"), first_ + 3));
  words_ = {longer, {"zw", {torch::ones({2, 16})}}};
  EXPECT_THAT(Ids("a zw-q"), ElementsAre(Plain("a"), first_));
  EXPECT_THAT(Ids("a zw"), ElementsAre(Plain("a"), first_ + 1, first_ + 2));
}

TEST_F(NewWordsTest, TheModelReadsTheRows) {
  torch::NoGradGuard no_grad;
  const auto encode = [&] { return model_.Encode({"a zw"}, {16, 16}).context_NSD; };
  const auto before = encode();
  model_.AddWord({"zw", {torch::randn({2, 16})}});
  const auto with = encode();
  EXPECT_FALSE(torch::equal(with, before));
  // Another token's own rows are read as that token.
  const auto& table = model_.parts().text_encoder;
  model_.AddWord({"zw", {table->RowsOf({Plain("b")})}});
  EXPECT_TRUE(torch::equal(encode(), model_.Encode({"a b"}, {16, 16}).context_NSD));
  model_.RemoveWord("zw");
  EXPECT_TRUE(torch::equal(encode(), with));
  model_.RemoveWord("zw");
  EXPECT_TRUE(torch::equal(encode(), before));
}

// As text encoders are whose table of tokens is padded to a round number.
TEST(NewWords, AreReadWhereTheTableHasMoreRowsThanTheTokenizerTokens) {
  torch::NoGradGuard no_grad;
  const auto tiny = TinyModel();
  auto text = tiny.parts().text_encoder->options();
  text.vocab_size += 64;
  StableDiffusion model({.tokenizer = tiny.tokenizer(),
                         .text_encoder = ClipTextModel(text),
                         .unet = tiny.parts().unet,
                         .vae = tiny.parts().vae},
                        NoiseSchedule());
  const auto encode = [&](const char* prompt) {
    return model.Encode({prompt}, {16, 16}).context_NSD;
  };
  const auto b = model.tokenizer().Encode("b");
  model.AddWord({"zw", {model.parts().text_encoder->RowsOf({b[0], b[0]})}});
  EXPECT_TRUE(torch::equal(encode("a zw"), encode("a b b")));
  EXPECT_THROW(model.parts().text_encoder->RowsOf({text.vocab_size}), Error);
}

}  // namespace
}  // namespace likeness
