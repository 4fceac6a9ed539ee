#include "worker/jobs/recipe_host.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/support/files.h"
#include "worker/training/checkpoint_contents.h"
#include "worker/training/recording_host.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// What a server keeps of a job's attempts.
struct KeptByServer {
  TempDir dir;
  std::map<std::string, std::string> blobs;
  fs::path checkpoint() const { return dir.path() / "checkpoint"; }
};

class AttemptEnvironment : public JobEnvironment {
 public:
  explicit AttemptEnvironment(KeptByServer& server) : server_(server) {}

  const fs::path& scratch() const override { return scratch_.path(); }
  void FetchBlob(const std::string& blob, const fs::path& to, const OnBytes&) override {
    WriteFile(to, server_.blobs.at(blob));
  }
  void Keep(const fs::path&, const v1::Output&, const OnBytes&) override {}
  void Resolved(const v1::ResolvedSpec&) override {}
  void Warn(const std::string& text) override { warnings.push_back(text); }
  void Report(const v1::Progress&) override {}
  void Show(const v1::SampleEvent& sample, const fs::path& file) override {
    server_.blobs[sample.output().blob()] = ReadFile(file);
  }
  StopReason Stop() override { return StopReason::kNone; }
  void SaveCheckpoint(int64_t, const fs::path& file) override {
    fs::rename(file, server_.checkpoint());
  }

  std::vector<std::string> warnings;

 private:
  KeptByServer& server_;
  TempDir scratch_;
};

class RecipeHostTest : public testing::Test {
 protected:
  struct Attempt {
    explicit Attempt(KeptByServer& server, std::optional<fs::path> checkpoint = std::nullopt,
                     std::function<bool(const Image&)> withholds = {})
        : environment(server),
          host(environment, phases, std::move(checkpoint), CheckpointPolicy(), PictureSettings(),
               std::move(withholds)) {}

    void Show(int64_t step, const std::string& prompt) {
      host.ShowPreview([&] { return Preview{step, prompt, TestImage(static_cast<int>(step))}; });
    }
    void SaveCheckpoint(int64_t step) {
      host.SaveCheckpoint(step, CheckpointReason::kInterval, {{{"losses", torch::zeros(1)}}});
    }
    std::vector<std::string> Previews() const {
      std::vector<std::string> paths;
      for (const auto& preview : host.previews()) paths.push_back(preview.path());
      return paths;
    }

    AttemptEnvironment environment;
    Phases phases{environment, {Phase::kPreparing, Phase::kTraining}};
    RecipeHost host;
  };

  KeptByServer server_;
};

TEST_F(RecipeHostTest, PreviewsOfEarlierAttemptsAreAmongTheOutputs) {
  {
    Attempt first(server_);
    first.Show(2, "a dog");
    first.Show(2, "a red dog");
    first.SaveCheckpoint(4);
    first.Show(4, "a dog");  // of which the checkpoint knows nothing
  }
  Attempt second(server_, server_.checkpoint());
  second.Show(4, "a dog");
  second.Show(4, "a red dog");
  EXPECT_EQ(second.Previews(),
            (std::vector<std::string>{"previews/000002-0.png", "previews/000002-1.png",
                                      "previews/000004-0.png", "previews/000004-1.png"}));
  for (const auto& preview : second.host.previews()) {
    EXPECT_TRUE(fs::exists(second.environment.scratch() / preview.path())) << preview.path();
  }
}

TEST_F(RecipeHostTest, APreviewThatIsDrawnAgainIsOneOutput) {
  {
    Attempt first(server_);
    first.Show(3, "a dog");
    first.SaveCheckpoint(3);
  }
  Attempt second(server_, server_.checkpoint());
  second.Show(3, "a dog");
  EXPECT_EQ(second.Previews(), std::vector<std::string>{"previews/000003-0.png"});
}

TEST_F(RecipeHostTest, WithheldPreviewsAreNeitherShownNorKept) {
  const Image unsafe = TestImage(2);
  Attempt attempt(server_, std::nullopt,
                  [&](const Image& image) { return image.rgb == unsafe.rgb; });
  attempt.Show(2, "a dog");
  attempt.Show(4, "a dog");
  EXPECT_EQ(attempt.Previews(), std::vector<std::string>{"previews/000004-0.png"});
  EXPECT_EQ(server_.blobs.size(), 1u);
  ASSERT_EQ(attempt.environment.warnings.size(), 1u);
  EXPECT_NE(attempt.environment.warnings[0].find("\"a dog\", step 2"), std::string::npos);
}

TEST_F(RecipeHostTest, PreviewThatCannotBeCheckedIsNotShown) {
  Attempt attempt(server_, std::nullopt,
                  [](const Image&) -> bool { throw std::runtime_error("no checker"); });
  attempt.Show(2, "a dog");
  EXPECT_TRUE(attempt.Previews().empty());
  EXPECT_TRUE(server_.blobs.empty());
  EXPECT_EQ(attempt.environment.warnings.size(), 1u);
}

TEST_F(RecipeHostTest, WhatCannotBeMeasuredCostsAWarningAlone) {
  Attempt attempt(server_);
  attempt.host.Measure([] { throw Error(ErrorKind::kFailedPrecondition, "no evaluator"); });
  attempt.host.Measure([] {});
  ASSERT_EQ(attempt.environment.warnings.size(), 1u);
  EXPECT_NE(attempt.environment.warnings[0].find("no evaluator"), std::string::npos);
}

TEST_F(RecipeHostTest, TimesOfEarlierAttemptsCountUpToTheCheckpoint) {
  {
    Attempt first(server_);
    first.host.Report({.phase = Phase::kTraining, .done = 1, .total = 9});
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    first.SaveCheckpoint(4);
  }
  {
    Attempt second(server_, server_.checkpoint());
    second.host.Report({.phase = Phase::kTraining, .done = 5, .total = 9});
    EXPECT_GE(second.phases.Measurements().at("training_seconds"), 0.05);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    second.SaveCheckpoint(8);
  }
  Attempt third(server_, server_.checkpoint());
  EXPECT_GE(third.phases.Measurements().at("training_seconds"), 0.1) << "of both before";
  EXPECT_TRUE(third.environment.warnings.empty());
}

TEST_F(RecipeHostTest, LostPreviewsCostAWarningAlone) {
  {
    Attempt first(server_);
    first.Show(2, "a dog");
    first.SaveCheckpoint(4);
  }
  server_.blobs.clear();
  Attempt second(server_, server_.checkpoint());
  EXPECT_TRUE(second.Previews().empty());
  EXPECT_EQ(second.environment.warnings.size(), 1u);
}

}  // namespace
}  // namespace likeness
