#include "client/cli/picture_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/png_text.h"

namespace likeness::client {
namespace {

using ::testing::HasSubstr;

// No more than what texts are put into.
std::string PngWith(const std::string& record) {
  const std::string header("\x89PNG\r\n\x1a\n\0\0\0\0IHDR\0\0\0\0", 8 + 12);
  return WithPngTexts(header, {{"likeness", record}});
}

std::string MessageOf(const std::string& record) {
  return std::string(ReadPictureRecord(PngWith(record)).status().message());
}

TEST(PictureRecordTest, ARecordIsRead) {
  const auto record = ReadPictureRecord(PngWith(R"({"format": 1, "program": "likeness 1.0",
      "base_model": {"id": "mini", "digest": "ab"},
      "adapters": [{"id": "rex", "digest": "cd", "method": "lora", "strength": 0.5},
                   {"id": "ink", "digest": "ef", "strength": 1, "allow_other_base": true}],
      "generate": {"prompts": ["a dog"], "seed": 7, "guidanceRescale": 0},
      "start_image": "0000000000000000000000000000000000000000000000000000000000000001",
      "batch": {"size": 4, "position": 3}})"));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->base->id, "mini");
  EXPECT_FALSE(record->model);
  ASSERT_EQ(record->adapters.size(), 2);
  EXPECT_EQ(record->adapters[0].model.digest, "cd");
  EXPECT_EQ(record->adapters[0].strength, 0.5);
  EXPECT_TRUE(record->adapters[1].allow_other_base);
  EXPECT_EQ(record->spec.seed(), 7);
  EXPECT_TRUE(record->spec.has_guidance_rescale());
  EXPECT_EQ(record->start_image.size(), 64);
  EXPECT_EQ(record->batch_size, 4);
  EXPECT_EQ(record->batch_position, 3);
}

TEST(PictureRecordTest, AWholePersonalizedModelDrawsInThePlaceOfItsBase) {
  const auto record = ReadPictureRecord(PngWith(R"({"format": 1, "base_model": {"digest": "ab"},
      "model": {"id": "tom", "digest": "cd"}, "generate": {"prompts": ["a dog"]}})"));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->model->id, "tom");
  EXPECT_FALSE(record->base);
}

TEST(PictureRecordTest, ARecordWithoutEtaIsOfAPictureThatWasDrawnWithNone) {
  const auto spec_of = [](const std::string& generate) {
    const std::string models = R"({"format": 1, "base_model": {"id": "mini", "digest": "ab"}, )";
    const auto record = ReadPictureRecord(PngWith(models + "\"generate\": " + generate + "}"));
    EXPECT_TRUE(record.ok()) << record.status();
    return record.ok() ? record->spec : v1::GenerateSpec();
  };
  const auto before = spec_of(R"({"sampler": "tcd"})");
  EXPECT_TRUE(before.has_eta()) << "else the sampler's default takes its place";
  EXPECT_EQ(before.eta(), 0);
  EXPECT_EQ(spec_of(R"({"sampler": "tcd", "eta": 0.3})").eta(), 0.3);
  EXPECT_FALSE(spec_of(R"({"sampler": "euler"})").has_eta());
  EXPECT_FALSE(spec_of(R"({"sampler": "ddim"})").has_eta()) << "0 is its default";
}

TEST(PictureRecordTest, WhatCannotBeDrawnAgainIsRefusedInWords) {
  EXPECT_THAT(ReadPictureRecord("GIF89a").status().message(), HasSubstr("does not say how"));
  EXPECT_THAT(MessageOf("{"), HasSubstr("no record"));
  EXPECT_THAT(MessageOf("[1]"), HasSubstr("no record"));
  EXPECT_THAT(MessageOf(R"({"format": 2})"), HasSubstr("newer version"));
  EXPECT_THAT(MessageOf(R"({"format": 1, "training_step": 40})"), HasSubstr("after 40 training"));
  EXPECT_THAT(MessageOf(R"({"format": 1})"), HasSubstr("no generate spec"));
  EXPECT_THAT(MessageOf(R"({"format": 1, "generate": {"color": 1}})"), HasSubstr("color"));
  EXPECT_THAT(MessageOf(R"({"format": 1, "generate": {}})"), HasSubstr("name no model"));
  const std::string model = R"({"format": 1, "generate": {}, "model": {"id": "a", "digest": "b"})";
  EXPECT_THAT(MessageOf(model + R"(, "batch": {"size": 17, "position": 0}})"), HasSubstr("batch"));
  EXPECT_THAT(MessageOf(model + R"(, "batch": {"size": 4, "position": 4}})"), HasSubstr("batch"));
  EXPECT_THAT(MessageOf(model + R"(, "start_image": "../x"})"), HasSubstr("start_image"));
  EXPECT_THAT(MessageOf(model + R"(, "adapters": [{"id": "x"}]})"), HasSubstr("id or digest"));
  EXPECT_THAT(MessageOf(model + R"(, "adapters": 3})"), HasSubstr("id or digest"));
}

}  // namespace
}  // namespace likeness::client
