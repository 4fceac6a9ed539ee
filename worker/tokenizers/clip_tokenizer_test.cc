#include "worker/tokenizers/clip_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "worker/base/error.h"
#include "worker/tokenizers/vocabulary_trainer.h"

namespace likeness {
namespace {

using ::testing::ElementsAre;
namespace fs = std::filesystem;

class ClipTokenizerTest : public ::testing::Test {
 protected:
  ClipTokenizerTest() : directory_(fs::path(::testing::TempDir()) / "clip_tokenizer_test") {
    fs::remove_all(directory_);
    fs::create_directories(directory_);
  }
  ~ClipTokenizerTest() override { fs::remove_all(directory_); }

  std::vector<std::string> Tokens(std::string_view text) const {
    std::vector<std::string> tokens;
    for (int64_t id : tokenizer_.Encode(text)) tokens.push_back(tokenizer_.IdToToken(id));
    return tokens;
  }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name) << text;
  }
  std::string LoadRefusal() const {
    try {
      ClipTokenizer::Load(directory_);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }
  ErrorKind LoadError() const {
    try {
      ClipTokenizer::Load(directory_);
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), ::testing::Not(::testing::HasSubstr("json.exception")));
      return e.kind();
    }
    ADD_FAILURE() << "loaded";
    return ErrorKind::kInternal;
  }

  ClipTokenizer tokenizer_ = TrainVocabulary({"a", "dog", "in", "the", "snow", "don", "'t"}, 8);
  fs::path directory_;
};

TEST_F(ClipTokenizerTest, CaseAndWhiteSpaceDoNotMatter) {
  EXPECT_THAT(Tokens("A  Dog\tin\nthe SNOW "),
              ElementsAre("a</w>", "dog</w>", "in</w>", "the</w>", "snow</w>"));
}

TEST_F(ClipTokenizerTest, ContractionsDigitsAndMarksAreCutApart) {
  EXPECT_THAT(Tokens("don't 12!?"),
              ElementsAre("don</w>", "'t</w>", "1</w>", "2</w>", "!", "?</w>"));
}

TEST_F(ClipTokenizerTest, WhatIsNotInTheVocabularyBecomesBytes) {
  EXPECT_THAT(Tokens("\U0001F436"), ElementsAre("\u00f0", "\u0141", "\u0132", "\u00b6</w>"));
  EXPECT_THAT(Tokens(std::string_view("\0\x01", 2)), ElementsAre("\u0100", "\u0101</w>"));
}

TEST_F(ClipTokenizerTest, SpecialTokensInTheTextAreFound) {
  EXPECT_THAT(tokenizer_.Encode("dog<|endoftext|>dog"),
              ElementsAre(*tokenizer_.TokenToId("dog</w>"), tokenizer_.eos_id(),
                          *tokenizer_.TokenToId("dog</w>")));
}

TEST_F(ClipTokenizerTest, PaddingFillsToTheModelsLength) {
  const auto dog = *tokenizer_.TokenToId("dog</w>");
  const auto bos = tokenizer_.bos_id(), eos = tokenizer_.eos_id();
  EXPECT_THAT(tokenizer_.EncodePadded("dog"), ElementsAre(bos, dog, eos, eos, eos, eos, eos, eos));
  EXPECT_THAT(tokenizer_.EncodePadded(""), ElementsAre(bos, eos, eos, eos, eos, eos, eos, eos));
}

TEST_F(ClipTokenizerTest, ALongPromptIsCutBeforeTheEnd) {
  std::string prompt;
  while (prompt.size() < 10'000) prompt += "dog ";
  const auto ids = tokenizer_.EncodePadded(prompt);
  EXPECT_EQ(ids.size(), 8u);
  EXPECT_EQ(ids.back(), tokenizer_.eos_id());
  EXPECT_EQ(ids[6], *tokenizer_.TokenToId("dog</w>"));
  EXPECT_EQ(tokenizer_.Encode(std::string(10'000, 'q')).size(), 10'000u);
}

TEST_F(ClipTokenizerTest, TextThatIsNotUtf8IsRefused) {
  EXPECT_THROW(tokenizer_.Encode("dog \xff"), Error);
}

TEST_F(ClipTokenizerTest, SingleTokensAreRecognised) {
  EXPECT_TRUE(tokenizer_.IsSingleToken("Dog"));
  EXPECT_FALSE(tokenizer_.IsSingleToken("cat"));
  EXPECT_FALSE(tokenizer_.IsSingleToken(""));
  EXPECT_FALSE(tokenizer_.IsSingleToken("a dog"));
}

TEST_F(ClipTokenizerTest, LoadsWhatItSaves) {
  tokenizer_.Save(directory_);
  const auto loaded = ClipTokenizer::Load(directory_);
  EXPECT_EQ(loaded.vocabulary(), tokenizer_.vocabulary());
  EXPECT_EQ(loaded.merges(), tokenizer_.merges());
  EXPECT_EQ(loaded.model_max_length(), 8);
  EXPECT_EQ(loaded.Encode("don't snow"), tokenizer_.Encode("don't snow"));
}

TEST_F(ClipTokenizerTest, ASpecialTokenMayBeLookedForAfterNormalization) {
  tokenizer_.Save(directory_);
  Write("special_tokens_map.json",
        R"({"pad_token": {"content": "<|endoftext|>", "normalized": true}})");
  const auto loaded = ClipTokenizer::Load(directory_);
  EXPECT_THAT(loaded.Encode("<|ENDOFTEXT|>"), ElementsAre(loaded.eos_id()));
  EXPECT_GT(tokenizer_.Encode("<|ENDOFTEXT|>").size(), 1u);
}

TEST_F(ClipTokenizerTest, LoadsTheOneFileForm) {
  Write("tokenizer.json",
        R"({"added_tokens": [{"id": 4, "content": "<|endoftext|>", "normalized": false}],
    "model": {"vocab": {"a": 0, "b</w>": 1, "ab</w>": 2, "<|startoftext|>": 3, "<|endoftext|>": 4},
              "merges": [["a", "b</w>"]]}})");
  const auto loaded = ClipTokenizer::Load(directory_);
  EXPECT_THAT(loaded.Encode("ab"), ElementsAre(2));
  EXPECT_EQ(loaded.model_max_length(), 77);
  EXPECT_THAT(loaded.Encode("ac"), ElementsAre(0, 4)) << "an unknown byte is the unknown token";
}

TEST_F(ClipTokenizerTest, TheLengthIsTheTextEncodersWhereNoneIsStated) {
  tokenizer_.Save(directory_);
  Write("tokenizer_config.json", "{}");
  EXPECT_EQ(ClipTokenizer::Load(directory_, 28).model_max_length(), 28);
  Write("tokenizer_config.json", R"({"model_max_length": 1000000000000000019884624838656})");
  EXPECT_EQ(ClipTokenizer::Load(directory_, 28).model_max_length(), 28);
  Write("tokenizer_config.json", R"({"model_max_length": 20})");
  EXPECT_EQ(ClipTokenizer::Load(directory_, 28).model_max_length(), 20);
}

TEST_F(ClipTokenizerTest, AnAddedTokenIsRefusedByItsNameWhereverItIsListed) {
  tokenizer_.Save(directory_);
  const auto id = std::to_string(tokenizer_.vocab_size());
  Write("added_tokens.json", R"({"<cat-toy>": )" + id + "}");
  EXPECT_THAT(LoadRefusal(), ::testing::StartsWith("tokenizer/added_tokens.json: added token "
                                                   "\"<cat-toy>\" with id " +
                                                   id));
  Write("added_tokens.json", "{}");
  Write("tokenizer_config.json",
        R"({"added_tokens_decoder": {")" + id + R"(": {"content": "<cat-toy>"}}})");
  EXPECT_THAT(LoadRefusal(), ::testing::StartsWith("tokenizer/tokenizer_config.json: added token "
                                                   "\"<cat-toy>\""));
}

TEST_F(ClipTokenizerTest, WordsBehindTheVocabularyAreSavedLoadedAndFound) {
  tokenizer_.Save(directory_, {"zwx", "zwx_1", "qqq"});
  const auto loaded = ClipTokenizer::Load(directory_);
  const int64_t first = tokenizer_.vocab_size();
  EXPECT_EQ(loaded.vocab_size(), first + 3);
  EXPECT_EQ(loaded.vocabulary(), tokenizer_.vocabulary());
  const auto a = tokenizer_.Encode("a")[0], dog = tokenizer_.Encode("dog")[0];
  EXPECT_THAT(loaded.Encode("a ZWX dog"), ElementsAre(a, first, first + 1, dog));
  EXPECT_THAT(loaded.Encode("zwx_1 qqq"), ElementsAre(first + 1, first + 2));
  EXPECT_EQ(loaded.Encode("zwxy aqqq"), tokenizer_.Encode("zwxy aqqq"));
  EXPECT_EQ(loaded.IdToToken(first + 2), "qqq");
  EXPECT_EQ(loaded.IdToToken(dog), "dog</w>");
  // A directory with more words, of one with some.
  loaded.Save(directory_, {"zzz"});
  EXPECT_THAT(ClipTokenizer::Load(directory_).options().added_words,
              ElementsAre("zwx", "zwx_1", "qqq", "zzz"));
  // As transformers lists them once more beside the decoder.
  Write("added_tokens.json", R"({"qqq": )" + std::to_string(first + 2) + "}");
  EXPECT_EQ(ClipTokenizer::Load(directory_).vocab_size(), first + 4);
}

TEST_F(ClipTokenizerTest, WordsThatAreLookedForOtherwiseOrLeaveAGapAreRefused) {
  tokenizer_.Save(directory_);
  const auto refusal = [&](int64_t id, const std::string& flags) {
    Write("tokenizer_config.json", R"({"added_tokens_decoder": {")" + std::to_string(id) +
                                       R"(": {"content": "zwx")" + flags + "}}}");
    return LoadRefusal();
  };
  const int64_t size = tokenizer_.vocab_size();
  const std::string alone = R"(, "normalized": true, "single_word": true)";
  EXPECT_EQ(refusal(size, alone), "");
  EXPECT_THAT(refusal(size, R"(, "normalized": true)"), ::testing::HasSubstr("single_word"));
  EXPECT_THAT(refusal(size, R"(, "single_word": true)"), ::testing::HasSubstr("normalized"));
  EXPECT_THAT(refusal(size, alone + R"(, "lstrip": true)"), ::testing::HasSubstr("lstrip"));
  EXPECT_THAT(refusal(size + 1, alone),
              ::testing::HasSubstr("the next behind the vocabulary is " + std::to_string(size)));
  EXPECT_THAT(refusal(0, alone), ::testing::HasSubstr("\"zwx\" with id 0"));
}

TEST_F(ClipTokenizerTest, ASpecialTokenMayBeListedUnderItsOwnIdAlone) {
  tokenizer_.Save(directory_);
  const auto end = std::to_string(tokenizer_.eos_id());
  Write("added_tokens.json", R"({"<|endoftext|>": )" + end + "}");
  EXPECT_EQ(ClipTokenizer::Load(directory_).eos_id(), tokenizer_.eos_id());
  Write("added_tokens.json", R"({"<|endoftext|>": 100000})");
  EXPECT_THAT(LoadRefusal(), ::testing::HasSubstr("\"<|endoftext|>\" with id 100000"));
}

TEST_F(ClipTokenizerTest, ValuesOfTheWrongTypeAreNamed) {
  tokenizer_.Save(directory_);
  const auto refused = [&](const char* file, const char* text, const char* clue) {
    tokenizer_.Save(directory_);
    Write(file, text);
    EXPECT_THAT(LoadRefusal(),
                ::testing::AllOf(::testing::HasSubstr(file), ::testing::HasSubstr(clue),
                                 ::testing::Not(::testing::HasSubstr("json.exc"))));
    fs::remove(directory_ / file);
  };
  refused("tokenizer_config.json", R"({"model_max_length": "77"})", "model_max_length = \"77\"");
  refused("tokenizer_config.json", R"({"bos_token": 3})", "bos_token = 3");
  refused("tokenizer_config.json", "[1]", "not a JSON object");
  refused("tokenizer_config.json", R"({"added_tokens_decoder": [1]})", "added_tokens_decoder");
  refused("special_tokens_map.json", R"({"eos_token": {"content": 3}})", "content = 3");
  refused("special_tokens_map.json", R"({"eos_token": {}})", "content = nothing is missing");
  refused("added_tokens.json", R"({"<|endoftext|>": "x"})", "= \"x\"");
  refused("vocab.json", R"({"a": "0"})", "id \"0\" of \"a\"");
  refused("vocab.json", R"([1, 2])", "not an object");
  refused("vocab.json", "version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer");
  refused("merges.txt", "version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer");
  fs::remove(directory_ / "vocab.json");
  Write("tokenizer.json", R"({"model": 3})");
  EXPECT_THAT(LoadRefusal(), ::testing::HasSubstr("model is not an object"));
  Write("tokenizer.json",
        R"({"model": {"vocab": {"<|startoftext|>": 0, "<|endoftext|>": 1}, "merges": [1]}})");
  EXPECT_THAT(LoadRefusal(), ::testing::HasSubstr("1 in model.merges is not two tokens"));
}

TEST_F(ClipTokenizerTest, BadFilesAreRefused) {
  EXPECT_EQ(LoadError(), ErrorKind::kNotFound);
  Write("vocab.json", "{\"a\": 0");
  Write("merges.txt", "#version: 0.2\n");
  EXPECT_EQ(LoadError(), ErrorKind::kDataLoss);
  Write("vocab.json", R"({"a": 0, "b": 7})");
  EXPECT_EQ(LoadError(), ErrorKind::kDataLoss);
  Write("vocab.json", R"({"a": 0, "b": 1})");
  EXPECT_EQ(LoadError(), ErrorKind::kFailedPrecondition) << "no begin and end";
  Write("vocab.json", R"({"a": 0, "<|startoftext|>": 1, "<|endoftext|>": 2})");
  Write("merges.txt", "a z\n");
  EXPECT_EQ(LoadError(), ErrorKind::kFailedPrecondition) << "a merge of nothing known";
  Write("merges.txt", "a\n");
  EXPECT_EQ(LoadError(), ErrorKind::kDataLoss);
}

}  // namespace
}  // namespace likeness
