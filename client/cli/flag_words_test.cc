#include "client/cli/flag_words.h"

#include <gtest/gtest.h>

namespace likeness::client {
namespace {

TEST(FlagWordsTest, ValuesOfEnumsAreTheWordsOfFlags) {
  EXPECT_EQ(InWordsOfFlags("is OPTIMIZER_PRODIGY; with fused_backward_pass OPTIMIZER_ADAMW, "
                           "OPTIMIZER_ADAMW_8BIT and OPTIMIZER_ADAFACTOR are allowed."),
            "is prodigy; with --fused-backward-pass adamw, adamw_8bit and adafactor are allowed.");
  EXPECT_EQ(InWordsOfFlags("is for EXPORT_FORMAT_SINGLE_FILE alone"), "is for single_file alone");
  EXPECT_EQ(InWordsOfFlags("is not of the form baseModels/{base_model}"),
            "is not of the form baseModels/{base_model}");
  EXPECT_EQ(InWordsOfFlags("there are no photos; MEASURE_RANK needs some"),
            "there are no photos; rank needs some");
  EXPECT_EQ(InWordsOfFlags("SUBJECT_CROP_FACE, LORA_VARIANT_LOKR"), "face, lokr");
}

TEST(FlagWordsTest, FieldsAreTheFlagsThatFillThem) {
  EXPECT_EQ(InWordsOfFlags("is STOP_RULE_PLATEAU, which needs validation_photos"),
            "is plateau, which needs --validation");
  EXPECT_EQ(InWordsOfFlags("is a base model; name it as base_model."),
            "is a base model; name it as --base.");
  EXPECT_EQ(InWordsOfFlags("job.fine_tune.training.stop_rule: prior.weight is 0"),
            "--stop-rule: --prior-weight is 0");
}

TEST(FlagWordsTest, WhatSomebodyWroteStays) {
  for (const char* text :
       {"the steps and the rank", "photos[3] is dark", "the prompt \"base_model\"",
        "rex/base_model.png", "model.safetensors: no tensor", "a sentence. Another one...", ""}) {
    EXPECT_EQ(InWordsOfFlags(text), text);
  }
}

}  // namespace
}  // namespace likeness::client
