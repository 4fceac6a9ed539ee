#include "worker/tokenizers/sentencepiece_model.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <limits>

#include "worker/base/error.h"

namespace likeness {
namespace {

using Ids = std::vector<int64_t>;

// <unk>, </s>, then the pieces from 2 on. "_" stands for a space in the model's writing.
SentencePieceFile ModelOf(const std::vector<std::pair<std::string, float>>& pieces) {
  SentencePieceFile file;
  file.pieces = {{"<unk>", 0, PieceType::kUnknown}, {"</s>", 0, PieceType::kControl}};
  for (auto [text, score] : pieces) {
    for (size_t at; (at = text.find('_')) != std::string::npos;) {
      text.replace(at, 1, "\xe2\x96\x81");
    }
    file.pieces.push_back({text, score});
  }
  return file;
}

TEST(SentencePieceModel, OfAllSegmentationsTheMostProbableIsTaken) {
  const auto file = ModelOf({{"_", -3}, {"a", -3}, {"b", -3}, {"_a", -4}, {"ab", -1}, {"_ab", -8}});
  EXPECT_EQ(SentencePieceModel(file).Encode("ab"), (Ids{2, 6}));  // -4, not -7 or -8
}

TEST(SentencePieceModel, BytePairsAreMergedByTheirScores) {
  auto file = ModelOf({{"_", -9}, {"a", -9}, {"b", -9}, {"_a", -1}, {"ab", -2}});
  file.bpe = true;
  EXPECT_EQ(SentencePieceModel(file).Encode("ab"), (Ids{5, 4}));
  file.pieces[5].score = -3;
  EXPECT_EQ(SentencePieceModel(file).Encode("ab"), (Ids{2, 6}));
  // Of equal ones the first.
  auto equal = ModelOf({{"a", 0}, {"aa", -1}});
  equal.bpe = true;
  equal.normalization.add_dummy_prefix = false;
  EXPECT_EQ(SentencePieceModel(equal).Encode("aaa"), (Ids{3, 2}));
}

TEST(SentencePieceModel, WhatNoPieceHasIsUnknownOnceOrItsBytes) {
  auto file = ModelOf({{"_", -1}, {"a", -1}});
  for (const bool bpe : {false, true}) {
    file.bpe = bpe;
    EXPECT_EQ(SentencePieceModel(file).Encode("a\xc3\xa9za"), (Ids{2, 3, 0, 3}));
  }
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof(text), "<0x%02X>", byte);
    file.pieces.push_back({text, 0, PieceType::kByte});
  }
  file.byte_fallback = true;
  for (const bool bpe : {false, true}) {
    file.bpe = bpe;
    EXPECT_EQ(SentencePieceModel(file).Encode("a\xc3\xa9"), (Ids{2, 3, 4 + 0xc3, 4 + 0xa9}));
  }
  file.pieces.pop_back();
  EXPECT_THROW(SentencePieceModel{file}, Error) << "a byte is missing";
}

TEST(SentencePieceModel, WhatAUserDefinedStaysWhole) {
  auto file = ModelOf({{"_", -1}, {"a", -2}, {"b", -2}, {"aba", -9}});
  file.pieces[5].type = PieceType::kUserDefined;
  for (const bool bpe : {false, true}) {
    file.bpe = bpe;
    EXPECT_EQ(SentencePieceModel(file).Encode("baba"), (Ids{2, 4, 5}));
  }
}

TEST(SentencePieceModel, AnUnusedPieceIsTakenApart) {
  auto file = ModelOf({{"a", -5}, {"b", -5}, {"ab", -1}});
  file.normalization.add_dummy_prefix = false;
  file.pieces[4].type = PieceType::kUnused;
  for (const bool bpe : {false, true}) {
    file.bpe = bpe;
    EXPECT_EQ(SentencePieceModel(file).Encode("ab"), (Ids{2, 3}));
  }
}

TEST(SentencePieceModel, SpacesAreCollapsedWhereTheModelSaysSo) {
  auto file = ModelOf({{"_", -1}, {"a", -1}});
  EXPECT_EQ(SentencePieceModel(file).Encode("  a  a "), (Ids{2, 3, 2, 3}));
  EXPECT_EQ(SentencePieceModel(file).Encode("  "), Ids{});
  file.normalization.remove_extra_whitespaces = false;
  file.normalization.add_dummy_prefix = false;
  EXPECT_EQ(SentencePieceModel(file).Encode(" a  a"), (Ids{2, 3, 2, 2, 3}));
}

TEST(SentencePieceModel, SurvivesItsFile) {
  auto file = ModelOf({{"_", -1.5F}, {"a", -2}});
  file.bpe = true;
  file.normalization.add_dummy_prefix = false;
  const std::string bytes = SerializeSentencePiece(file);
  const auto again = ParseSentencePiece(bytes, "spiece.model");
  EXPECT_TRUE(again.bpe);
  EXPECT_FALSE(again.normalization.add_dummy_prefix);
  EXPECT_EQ(again.pieces[2].score, -1.5F);
  EXPECT_EQ(again.pieces[1].type, PieceType::kControl);
  EXPECT_EQ(SerializeSentencePiece(again), bytes);
  EXPECT_EQ(SentencePieceModel(again).IdOf("</s>"), 1);
  EXPECT_EQ(SentencePieceModel(again).IdOf("b"), std::nullopt);
}

TEST(SentencePieceModel, ACutFileIsRefused) {
  const std::string bytes = SerializeSentencePiece(ModelOf({{"a", -1}}));
  EXPECT_THROW(ParseSentencePiece(bytes.substr(0, bytes.size() - 1), "spiece.model"), Error);
  EXPECT_THROW(ParseSentencePiece("", "spiece.model"), Error);
  EXPECT_THROW(ParseSentencePiece("no model at all", "spiece.model"), Error);
  auto file = ModelOf({{"a", -1}});
  for (const auto& table :
       {std::string("x"), std::string("\x08\0\0\0", 4), std::string("\x04\0\0\0\0\1\0\0x", 9)}) {
    file.normalization.charsmap = table;
    EXPECT_THROW(SentencePieceModel{file}, Error) << table.size();
  }
}

TEST(SentencePieceModel, EndlessPiecesAndScoresThatAreNoNumbersAreRefused) {
  const std::vector<std::pair<std::string, float>> wrong = {
      {std::string(kLongestPiece + 1, 'a'), -1},
      {"a", std::numeric_limits<float>::quiet_NaN()},
      {"a", -std::numeric_limits<float>::infinity()}};
  for (const auto& piece : wrong) {
    const std::string bytes = SerializeSentencePiece(ModelOf({piece}));
    EXPECT_THROW(ParseSentencePiece(bytes, "spiece.model"), Error) << piece.second;
  }
}

TEST(SentencePieceModel, WithoutAnUnknownPieceOrWithOneTwiceItIsNone) {
  auto file = ModelOf({{"a", -1}, {"a", -1}});
  EXPECT_THROW(SentencePieceModel{file}, Error);
  file.pieces = {{"a", -1}};
  EXPECT_THROW(SentencePieceModel{file}, Error);
}

}  // namespace
}  // namespace likeness
