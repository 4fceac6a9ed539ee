#include "worker/jobs/phases.h"

#include <gtest/gtest.h>

#include <vector>

#include "worker/base/io/temp_dir.h"
#include "worker/families/tiny_model.h"
#include "worker/jobs/recipe_host.h"
#include "worker/training/class_latents.h"

namespace likeness {
namespace {

// Remembers what is reported.
class ReportedEnvironment : public JobEnvironment {
 public:
  const std::filesystem::path& scratch() const override { return dir_.path(); }
  void FetchBlob(const std::string&, const std::filesystem::path&, const OnBytes&) override {}
  void Keep(const std::filesystem::path&, const v1::Output&, const OnBytes&) override {}
  void Resolved(const v1::ResolvedSpec&) override {}
  void Warn(const std::string&) override {}
  void Report(const v1::Progress& progress) override { reports.push_back(progress); }
  void Show(const v1::SampleEvent&, const std::filesystem::path&) override {}
  StopReason Stop() override { return StopReason::kNone; }
  void SaveCheckpoint(int64_t, const std::filesystem::path&) override {}

  std::vector<v1::Progress> reports;

 private:
  TempDir dir_;
};

class PhasesTest : public testing::Test {
 protected:
  // As a job of so many class pictures finds them: those in the cache are not drawn again.
  double DrawnForAJobOf(int count) {
    environment_.reports.clear();
    Phases phases(environment_, {Phase::kPreparing, Phase::kClassPictures});
    RecipeHost host(environment_, phases, std::nullopt, {}, {});
    ClassLatents(model_, {.prompt = "a dog", .count = count, .steps = 2, .batch_size = 4},
                 cache_.path(), host);
    return phases.Measurements().at("class_images_drawn");
  }

  StableDiffusion model_ = TinyModel();
  TempDir cache_;
  ReportedEnvironment environment_;
};

TEST_F(PhasesTest, ClassImagesThatWereDrawnAreCountedAlsoAfterTheyAreEncoded) {
  EXPECT_EQ(DrawnForAJobOf(6), 6);
  EXPECT_EQ(DrawnForAJobOf(6), 0);
  EXPECT_EQ(DrawnForAJobOf(10), 2) << "the second batch was drawn whole";
}

TEST_F(PhasesTest, ProgressOfClassImagesNeverGoesBack) {
  for (const int count : {6, 10, 10}) {
    DrawnForAJobOf(count);
    int64_t done = 0;
    for (const auto& report : environment_.reports) {
      if (report.phase() != v1::JOB_PHASE_CLASS_IMAGES) continue;
      EXPECT_GE(report.done(), done);
      done = report.done();
    }
    EXPECT_EQ(done, count);
  }
}

TEST_F(PhasesTest, WithoutClassImagesNoneAreCounted) {
  Phases phases(environment_, {Phase::kPreparing, Phase::kTraining});
  phases.Report({.phase = Phase::kTraining, .done = 1, .total = 1});
  EXPECT_FALSE(phases.Measurements().contains("class_images_drawn"));
}

TEST_F(PhasesTest, MeasurementsAreReportedWithTheirSteps) {
  Phases phases(environment_, {Phase::kPreparing, Phase::kTraining});
  phases.Report({.phase = Phase::kTraining, .done = 1, .total = 9});
  EXPECT_FALSE(environment_.reports.back().has_measurements());
  phases.Report(
      {.phase = Phase::kTraining,
       .done = 5,
       .total = 9,
       .measured = LatestMeasured{.measured = {.validation_loss = 0, .prompt_score = 0.25},
                                  .validation_loss_step = 5,
                                  .score_step = 4}});
  const auto& measurements = environment_.reports.back().measurements();
  EXPECT_TRUE(measurements.has_validation_loss()) << "though it is 0";
  EXPECT_EQ(measurements.validation_loss_step(), 5);
  EXPECT_FALSE(measurements.has_subject_score());
  EXPECT_EQ(measurements.prompt_score(), 0.25);
  EXPECT_EQ(measurements.score_step(), 4);
}

TEST_F(PhasesTest, EveryLaterReportRepeatsWhatWasMeasuredLast) {
  Phases phases(environment_, {Phase::kTraining, Phase::kSaving, Phase::kUploading});
  const auto measured = [](double loss, int64_t step) {
    return LatestMeasured{.measured = {.validation_loss = loss}, .validation_loss_step = step};
  };
  phases.Report({.phase = Phase::kTraining, .done = 4, .total = 9, .measured = measured(.5, 4)});
  phases.Report({.phase = Phase::kSaving, .total = 1, .measured = measured(.25, 9)});
  phases.Report({.phase = Phase::kSaving, .done = 1, .total = 1});
  phases.Report({.phase = Phase::kUploading});
  ASSERT_EQ(environment_.reports.size(), 5u);
  EXPECT_FALSE(environment_.reports[0].has_measurements()) << "of entering the first phase";
  EXPECT_EQ(environment_.reports[1].measurements().validation_loss(), .5);
  for (size_t i = 2; i < 5; ++i) {
    EXPECT_EQ(environment_.reports[i].measurements().validation_loss(), .25) << i;
    EXPECT_EQ(environment_.reports[i].measurements().validation_loss_step(), 9) << i;
  }
}

}  // namespace
}  // namespace likeness
