#include "worker/tokenizers/sentencepiece_file.h"

#include <bit>
#include <cmath>
#include <fstream>
#include <optional>
#include <system_error>

#include "worker/base/error.h"
#include "worker/base/io/message_reader.h"
#include "worker/base/io/model_json.h"

namespace likeness {
namespace {

// Wire types of protocol buffers that are written.
constexpr uint32_t kVarint = 0;
constexpr uint32_t kBytes = 2;
constexpr uint32_t kFixed32 = 5;

// Numbers of fields.
constexpr uint32_t kPieces = 1, kTrainer = 2, kNormalizer = 3;
constexpr uint32_t kPieceText = 1, kPieceScore = 2, kPieceType = 3;
constexpr uint32_t kModelType = 3, kSuffix = 24, kByteFallback = 35;
constexpr uint32_t kCharsmap = 2, kDummyPrefix = 3, kRemoveExtra = 4, kEscape = 5;
constexpr uint64_t kUnigram = 1, kBpe = 2;

constexpr uintmax_t kMostBytes = 256 << 20;  // of a file; the largest published have 5 MB

Piece ReadPiece(std::string_view bytes, const std::string& file, const Error& malformed) {
  Piece piece;
  MessageReader reader(bytes, malformed);
  while (const auto field = reader.Next()) {
    if (field->number == kPieceText) piece.text = field->bytes;
    if (field->number == kPieceScore) {
      piece.score = std::bit_cast<float>(static_cast<uint32_t>(field->value));
    }
    if (field->number == kPieceType) {
      if (field->value < 1 || field->value > 6) reader.Fail();
      piece.type = static_cast<PieceType>(field->value);
    }
  }
  if (piece.text.size() > kLongestPiece || !std::isfinite(piece.score)) {
    throw Error(ErrorKind::kDataLoss,
                file + " has a piece of " + std::to_string(piece.text.size()) +
                    " bytes and the score " + std::to_string(piece.score) + "; at most " +
                    std::to_string(kLongestPiece) + " bytes and a finite score are allowed");
  }
  return piece;
}

void ReadTrainer(std::string_view bytes, const std::string& file, const Error& malformed,
                 SentencePieceFile& model) {
  const auto refuse = [&](const char* why) {
    throw Error(ErrorKind::kFailedPrecondition, file + ": " + why);
  };
  MessageReader reader(bytes, malformed);
  while (const auto field = reader.Next()) {
    if (field->number == kModelType) {
      if (field->value != kUnigram && field->value != kBpe) {
        refuse("model_type is not supported; it may be UNIGRAM or BPE");
      }
      model.bpe = field->value == kBpe;
    }
    if (field->number == kSuffix && field->value != 0) {
      refuse("treat_whitespace_as_suffix is not supported");
    }
    if (field->number == kByteFallback) model.byte_fallback = field->value != 0;
  }
}

PieceNormalization ReadNormalizer(std::string_view bytes, const Error& malformed) {
  PieceNormalization normalization;
  MessageReader reader(bytes, malformed);
  while (const auto field = reader.Next()) {
    const bool on = field->value != 0;
    if (field->number == kCharsmap) normalization.charsmap = field->bytes;
    if (field->number == kDummyPrefix) normalization.add_dummy_prefix = on;
    if (field->number == kRemoveExtra) normalization.remove_extra_whitespaces = on;
    if (field->number == kEscape) normalization.escape_whitespaces = on;
  }
  return normalization;
}

void AppendVarint(std::string& bytes, uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  bytes += static_cast<char>(value);
}

void AppendNumber(std::string& bytes, uint32_t number, uint64_t value) {
  AppendVarint(bytes, number << 3 | kVarint);
  AppendVarint(bytes, value);
}

void AppendBytes(std::string& bytes, uint32_t number, std::string_view value) {
  AppendVarint(bytes, number << 3 | kBytes);
  AppendVarint(bytes, value.size());
  bytes += value;
}

}  // namespace

SentencePieceFile ParseSentencePiece(std::string_view bytes, const std::string& file) {
  const Error malformed(ErrorKind::kDataLoss, file + " is no SentencePiece model, or is cut");
  SentencePieceFile model;
  MessageReader reader(bytes, malformed);
  while (const auto field = reader.Next()) {
    if (field->number == kPieces) model.pieces.push_back(ReadPiece(field->bytes, file, malformed));
    if (field->number == kTrainer) ReadTrainer(field->bytes, file, malformed, model);
    if (field->number == kNormalizer) model.normalization = ReadNormalizer(field->bytes, malformed);
  }
  if (model.pieces.empty()) reader.Fail();
  return model;
}

SentencePieceFile ReadSentencePiece(const std::filesystem::path& path) {
  const std::string file = path.filename().string();
  std::error_code failure;
  const auto size = std::filesystem::file_size(path, failure);
  if (failure) throw Error(ErrorKind::kDataLoss, file + " cannot be read: " + failure.message());
  if (size > kMostBytes) {
    throw Error(ErrorKind::kDataLoss, file + " has " + std::to_string(size) + " bytes; at most " +
                                          std::to_string(kMostBytes) + " are read");
  }
  std::string bytes(size, '\0');
  std::ifstream in(path, std::ios::binary);
  if (!in.read(bytes.data(), static_cast<std::streamsize>(size))) {
    throw Error(ErrorKind::kDataLoss, file + " cannot be read");
  }
  if (const auto instead = WhatLiesInstead(bytes)) {
    throw Error(ErrorKind::kDataLoss, file + " is " + *instead);
  }
  return ParseSentencePiece(bytes, file);
}

std::string SerializeSentencePiece(const SentencePieceFile& model) {
  std::string bytes;
  for (const Piece& piece : model.pieces) {
    std::string message;
    AppendBytes(message, kPieceText, piece.text);
    AppendVarint(message, kPieceScore << 3 | kFixed32);
    const auto score = std::bit_cast<uint32_t>(piece.score);
    for (int shift = 0; shift < 32; shift += 8) message += static_cast<char>(score >> shift);
    AppendNumber(message, kPieceType, static_cast<uint64_t>(piece.type));
    AppendBytes(bytes, kPieces, message);
  }
  std::string trainer;
  AppendNumber(trainer, kModelType, model.bpe ? kBpe : kUnigram);
  AppendNumber(trainer, kByteFallback, model.byte_fallback ? 1 : 0);
  AppendBytes(bytes, kTrainer, trainer);
  std::string normalizer;
  AppendBytes(normalizer, kCharsmap, model.normalization.charsmap);
  AppendNumber(normalizer, kDummyPrefix, model.normalization.add_dummy_prefix ? 1 : 0);
  AppendNumber(normalizer, kRemoveExtra, model.normalization.remove_extra_whitespaces ? 1 : 0);
  AppendNumber(normalizer, kEscape, model.normalization.escape_whitespaces ? 1 : 0);
  AppendBytes(bytes, kNormalizer, normalizer);
  return bytes;
}

}  // namespace likeness
