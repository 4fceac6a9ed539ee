#include "worker/jobs/initial_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/temp_dir.h"
#include "worker/exports/personalized_model.h"
#include "worker/support/guard.h"
#include "worker/training/method_settings.h"

namespace likeness {
namespace {

using ::testing::HasSubstr;

class InitialSettingsTest : public ::testing::Test {
 protected:
  std::string Complaint(const nlohmann::json& settings, const FineTuneOptions& options) {
    std::ofstream(directory_.path() / kCardFile) << nlohmann::json{{"settings", settings}};
    return std::string(Guard([&] { CheckInitialSettings(directory_.path(), options); }).message());
  }

  const TempDir directory_;
};

TEST_F(InitialSettingsTest, TheFirstSettingThatDiffersIsNamedWithBothValues) {
  FineTuneOptions options;
  options.method = "lora";
  options.lora = {.rank = 16, .alpha = 16, .targets = {"to_q", "to_v"}};
  const nlohmann::json made = MethodSettingsJson(options);
  EXPECT_EQ(Complaint(made, options), "");
  options.lora.dropout = 0.5;
  options.lora.targets = {"to_v", "to_q"};
  EXPECT_EQ(Complaint(made, options), "");
  options.lora.rank = 8;
  EXPECT_EQ(
      Complaint(made, options),
      "job.fine_tune.lora.rank: is 8; the initial model has 16, and training goes on with the "
      "same");
  options.lora.variant = LoraVariant::kDora;
  EXPECT_THAT(Complaint(made, options),
              HasSubstr("lora.variant: is dora; the initial model has lora"));
  options.method = "pivotal_tuning";
  EXPECT_THAT(Complaint(made, options), HasSubstr("job.fine_tune.pivotal_tuning.lora.variant: is"));
}

TEST_F(InitialSettingsTest, NumbersAreAsPeopleWriteThem) {
  FineTuneOptions options;
  options.method = "lora";
  options.lora.alpha = 8;
  EXPECT_THAT(Complaint({{"lora", {{"alpha", 2.5}}}}, options),
              HasSubstr("alpha: is 8; the initial model has 2.5,"));
}

TEST_F(InitialSettingsTest, WhatTheCardOfAnImportedAdapterDoesNotSayIsNotCompared) {
  FineTuneOptions options;
  options.method = "lora";
  EXPECT_EQ(Complaint({{"lora", {{"variant", "lora"}}}}, options), "");
  options.method = "hypernetwork";
  EXPECT_EQ(Complaint(nlohmann::json::object(), options), "");
}

TEST_F(InitialSettingsTest, OtherMethodsNameTheirOwnFields) {
  FineTuneOptions options;
  options.method = "custom_diffusion";
  options.train_token = false;
  EXPECT_THAT(Complaint({{"train_token", true}}, options),
              HasSubstr("job.fine_tune.custom_diffusion.train_token: is false; the initial model "
                        "has true"));
  options.method = "textual_inversion";
  EXPECT_THAT(Complaint({{"textual_inversion", {{"vectors", 3}}}}, options),
              HasSubstr("job.fine_tune.textual_inversion.vectors: is 1; the initial model has 3"));
}

}  // namespace
}  // namespace likeness
