#include "worker/catalog/model_defaults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/job_spec.h"
#include "worker/base/error.h"

namespace likeness {
namespace {

struct Directory {
  Directory() { std::filesystem::create_directories(path); }
  ~Directory() { std::filesystem::remove_all(path); }
  std::filesystem::path path = std::filesystem::path(testing::TempDir()) / RandomId(12);
};

ModelDefaults ReadAll(const char* json) {
  const Directory directory;
  std::ofstream(directory.path / "likeness_defaults.json") << json;
  return ReadModelDefaults(directory.path);
}

v1::FineTuneSpec Read(const char* json) { return ReadAll(json).fine_tune; }

TEST(ModelDefaultsTest, EachMethodHasRecommendationsOfItsOwn) {
  const auto defaults = ReadAll(R"({"lora": {"training": {"steps": 3}},
                                    "svdiff": {"training": {"steps": 4}}})");
  EXPECT_EQ(defaults.methods.at("lora").training().steps(), 3);
  EXPECT_EQ(defaults.methods.at("svdiff").training().steps(), 4);
  EXPECT_EQ(defaults.methods.size(), 2u);
  // DreamBooth's are those of fine_tune.
  for (const char* json : {R"({"dreambooth": {}})", R"({"magic": {}})"}) {
    try {
      ReadAll(json);
      ADD_FAILURE() << json;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("allowed are fine_tune, generate, lora"));
    }
  }
}

// They lie in models that were made then.
TEST(ModelDefaultsTest, FilesOfBeforeVersion1OfTheContractAreStillRead) {
  const auto now = Read(R"({"fine_tune": {"subjects": [{"token": "zwx"}], "training": {"steps": 2},
                            "dreambooth": {"textEncoderLearningRate": 5e-4}}})");
  const auto then = Read(R"({"fine_tune": {"subject": {"token": "zwx"},
                             "training": {"steps": 2, "textEncoderLearningRate": 5e-4}}})");
  EXPECT_EQ(SubjectOf(now).token(), "zwx");
  EXPECT_EQ(now.dreambooth().text_encoder_learning_rate(), 5e-4);
  EXPECT_EQ(then.SerializeAsString(), now.SerializeAsString());
}

// A base model's file says what a person wrote, a personalized model's what its maker knew.
TEST(ModelDefaultsTest, WhatANewerVersionRecommendedIsLeftOutWithAWarning) {
  struct Case {
    const char* json;
    const char* unknown;
  };
  const Case cases[] = {
      {R"({"fine_tune": {"training": {"steps": 2, "magic": 1}}})", "magic"},
      {R"({"fine_tune": {"training": {"steps": 2}}, "sorcery": {}})", "sorcery"},
      {R"({"fine_tune": {"training": {"steps": 2, "optimizer": "OPTIMIZER_MAGIC"}}})",
       "OPTIMIZER_MAGIC"},
  };
  for (const auto& [json, unknown] : cases) {
    const Directory directory;
    std::ofstream(directory.path / "likeness_defaults.json") << json;
    std::vector<std::string> warnings;
    const auto read = ReadRecordedDefaults(
        directory.path, [&](const std::string& what) { warnings.push_back(what); });
    EXPECT_EQ(read.fine_tune.training().steps(), 2) << json;
    EXPECT_THAT(warnings, testing::ElementsAre(testing::HasSubstr(unknown)));
    EXPECT_THROW(ReadModelDefaults(directory.path), Error) << json;
  }
  // What no version would have written is refused of both.
  const Directory directory;
  std::ofstream(directory.path / "likeness_defaults.json") << R"({"generate": {"steps": "many"}})";
  EXPECT_THROW(ReadRecordedDefaults(directory.path, [](const std::string&) {}), Error);
}

}  // namespace
}  // namespace likeness
