#include "worker/jobs/picture_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/png_text.h"
#include "common/version.h"
#include "third_party/nlohmann/json.hpp"

namespace likeness {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

Picture APicture() {
  return {.prompt = "a zwx dog, in the snow",
          .seed = 4294967295,
          .image = {.width = 2, .height = 1, .rgb = {0, 1, 2, 3, 4, 5}},
          .batch = {.size = 4, .position = 2}};
}

PictureSettings TheSettings() {
  PictureSettings settings;
  settings.order.negative_prompt = "blurry";
  settings.order.sampler = "dpmpp_2m_karras";
  settings.order.steps = 20;
  settings.order.guidance = 7.5;
  settings.order.clip_skip = 1;
  settings.base = RecordedAs("baseModels/mini", std::string(64, 'b'));
  settings.adapters = {{.model = RecordedAs("tenants/acme/models/rex", std::string(64, 'a')),
                        .method = "lora",
                        .strength = 0.8},
                       {.model = RecordedAs("tenants/acme/models/word", std::string(64, 'c')),
                        .method = "textual_inversion"}};
  return settings;
}

TEST(PictureSettingsTest, ParametersAreWrittenAsInAutomatic1111) {
  EXPECT_EQ(ParametersText(APicture(), TheSettings()),
            absl::StrCat("a zwx dog, in the snow <lora:rex:0.8>\n"
                         "Negative prompt: blurry\n"
                         "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, "
                         "Seed: 4294967295, Size: 2x1, Model hash: bbbbbbbbbb, Model: mini, "
                         "Clip skip: 2, Version: likeness ",
                         Version()));
}

TEST(PictureSettingsTest, JsonHoldsAllThatThePictureDependsOn) {
  PictureSettings settings = TheSettings();
  settings.precision_bits = 16;
  settings.start.set_strength(0.6);
  settings.start.mutable_image()->set_blob("tenants/acme/blobs/" + std::string(64, 'd'));
  settings.start.mutable_image()->set_file_name("holiday.jpg");
  settings.start.mutable_mask()->set_blob("tenants/acme/blobs/" + std::string(64, 'e'));
  const std::string text = SettingsText(APicture(), settings);
  const json record = json::parse(text);
  EXPECT_EQ(record["format"], 1);
  EXPECT_EQ(record["base_model"], json({{"id", "mini"}, {"digest", std::string(64, 'b')}}));
  EXPECT_EQ(record["adapters"][0], json({{"id", "rex"},
                                         {"digest", std::string(64, 'a')},
                                         {"method", "lora"},
                                         {"strength", 0.8}}));
  EXPECT_EQ(record["batch"], json({{"size", 4}, {"position", 2}}));
  EXPECT_EQ(record["start_image"], std::string(64, 'd'));
  EXPECT_EQ(record["mask"], std::string(64, 'e'));
  const json& spec = record["generate"];
  EXPECT_EQ(spec["prompts"], json({"a zwx dog, in the snow"}));
  EXPECT_EQ(spec["seed"], 4294967295);
  EXPECT_EQ(spec["clipSkip"], 1);
  EXPECT_EQ(spec["guidanceRescale"], 0);  // said, or a model's recommendation would take its place
  EXPECT_EQ(spec["precision"], "PRECISION_BF16");
  EXPECT_EQ(spec["imageToImage"]["strength"], 0.6);
  EXPECT_FALSE(record.contains("model"));
  EXPECT_FALSE(record.contains("training_step"));
}

TEST(PictureSettingsTest, EtaIsSaidOfSamplersThatHaveIt) {
  PictureSettings settings = TheSettings();
  const auto eta = [&] {
    const json spec = json::parse(SettingsText(APicture(), settings))["generate"];
    return spec.contains("eta") ? spec["eta"].get<double>() : -1;
  };
  EXPECT_EQ(eta(), -1);
  settings.order.sampler = "ddim";
  EXPECT_EQ(eta(), 0);
  settings.order.eta = 0.5;
  EXPECT_EQ(eta(), 0.5);
  EXPECT_THAT(ParametersText(APicture(), settings), HasSubstr("Model: mini, Eta DDIM: 0.5, "));
}

TEST(PictureSettingsTest, WhatTheModelWasToldOfSizesIsSaid) {
  PictureSettings settings = TheSettings();
  const auto spec = [&] { return json::parse(SettingsText(APicture(), settings))["generate"]; };
  EXPECT_FALSE(spec().contains("microConditioning"));
  settings.order.micro_conditioning = {.original_height = 1,
                                       .original_width = 2,
                                       .crop_top = 3,
                                       .crop_left = 0,
                                       .target_height = 5,
                                       .target_width = 6};
  EXPECT_EQ(spec()["microConditioning"], json({{"originalWidth", 2},
                                               {"originalHeight", 1},
                                               {"cropLeft", 0},
                                               {"cropTop", 3},
                                               {"targetWidth", 6},
                                               {"targetHeight", 5}}));
}

TEST(PictureSettingsTest, NeitherTenantsNorFileNamesAreSaid) {
  PictureSettings settings = TheSettings();
  settings.model = RecordedAs("tenants/acme/models/tom", std::string(64, 'f'));
  settings.start.mutable_image()->set_blob("tenants/acme/blobs/" + std::string(64, 'd'));
  settings.start.mutable_image()->set_file_name("holiday.jpg");
  const std::string file = EncodeWithSettings(APicture(), settings);
  EXPECT_THAT(file, HasSubstr("\"tom\""));
  EXPECT_THAT(file, Not(HasSubstr("acme")));
  EXPECT_THAT(file, Not(HasSubstr("holiday")));
}

TEST(PictureSettingsTest, FilesHoldBothTexts) {
  const std::string file = EncodeWithSettings(APicture(), TheSettings());
  EXPECT_EQ(FindPngText(file, "parameters"), ParametersText(APicture(), TheSettings()));
  EXPECT_EQ(FindPngText(file, "likeness"), SettingsText(APicture(), TheSettings()));
}

TEST(PictureSettingsTest, APictureOfWhatAFineTuneMadeNamesIt) {
  v1::FineTuneSpec spec;
  PictureSettings whole, adapter;
  AddMadeModel("tenants/t/models/rex", spec, {}, whole);
  ASSERT_TRUE(whole.model);
  EXPECT_EQ(whole.model->id, "rex");
  spec.mutable_lora();
  AddMadeModel("tenants/t/models/rex", spec, {}, adapter);
  EXPECT_FALSE(adapter.model);
  ASSERT_EQ(adapter.adapters.size(), 1);
  EXPECT_EQ(adapter.adapters[0].method, "lora");
}

}  // namespace
}  // namespace likeness
