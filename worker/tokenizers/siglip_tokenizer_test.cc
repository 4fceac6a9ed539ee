#include "worker/tokenizers/siglip_tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>

#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"

namespace likeness {
namespace {

using Ids = std::vector<int64_t>;

class SiglipTokenizerTest : public ::testing::Test {
 protected:
  // 0 and 1: what pads and ends; then <unk>, a space, a, b, B, comma.
  void Write(const std::string& file, const std::string& padding, const std::string& end) {
    SentencePieceFile model;
    model.pieces = {{padding, 0, PieceType::kControl},
                    {end, 0, PieceType::kControl},
                    {"<unk>", 0, PieceType::kUnknown},
                    {"\xe2\x96\x81", -1},
                    {"a", -1},
                    {"b", -1},
                    {"B", -1},
                    {",", -1}};
    model.normalization.add_dummy_prefix = file == "spiece.model";
    std::ofstream(folder_.path() / file, std::ios::binary) << SerializeSentencePiece(model);
  }
  void Configure(const std::string& json) {
    std::ofstream(folder_.path() / "tokenizer_config.json") << json;
  }
  Ids Encoded(const std::string& prompt, int64_t length = 8) const {
    return SiglipTokenizer::Load(folder_.path()).EncodePadded(prompt, length);
  }

  TempDir folder_;
};

TEST_F(SiglipTokenizerTest, OfSiglipTextIsInLowerCaseWithoutPunctuation) {
  Write("spiece.model", "<pad>", "</s>");
  EXPECT_EQ(Encoded("A,  B!"), (Ids{3, 4, 3, 5, 1, 1, 1, 1}));
  EXPECT_EQ(Encoded(""), (Ids{1, 1, 1, 1, 1, 1, 1, 1}));
  Configure(R"({"do_lower_case": false, "pad_token": {"content": "<pad>"}})");
  EXPECT_EQ(Encoded("a B"), (Ids{3, 4, 3, 6, 1, 0, 0, 0}));
}

TEST_F(SiglipTokenizerTest, OfSiglip2PunctuationStays) {
  Write("tokenizer.model", "<pad>", "<eos>");
  Configure(R"({"do_lower_case": false})");
  EXPECT_EQ(Encoded("a, B"), (Ids{4, 7, 3, 5, 1, 0, 0, 0}));
}

TEST_F(SiglipTokenizerTest, ALongPromptIsCutAndStillEnds) {
  Write("tokenizer.model", "<pad>", "<eos>");
  EXPECT_EQ(Encoded("ababab", 4), (Ids{4, 5, 4, 1}));
}

TEST_F(SiglipTokenizerTest, WhatIsMissingIsNamed) {
  EXPECT_THROW(Encoded("a"), Error);
  Write("spiece.model", "<pad>", "</s>");
  Configure(R"({"eos_token": "<end>"})");
  try {
    Encoded("a");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("<end>"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace likeness
