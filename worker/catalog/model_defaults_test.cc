#include "worker/catalog/model_defaults.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "common/ids.h"
#include "common/job_spec.h"

namespace likeness {
namespace {

v1::FineTuneSpec Read(const char* json) {
  const auto directory = std::filesystem::path(testing::TempDir()) / RandomId(12);
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "likeness_defaults.json") << json;
  const ModelDefaults defaults = ReadModelDefaults(directory);
  std::filesystem::remove_all(directory);
  return defaults.fine_tune;
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
