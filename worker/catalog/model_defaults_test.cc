#include "worker/catalog/model_defaults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

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

}  // namespace
}  // namespace likeness
