#include "client/cli/describe.h"

#include <gtest/gtest.h>

#include <limits>

namespace likeness::client {
namespace {

TEST(DescribeTest, AdaptersStandBehindTheModel) {
  v1::Job job;
  v1::ModelSelection& model = *job.mutable_evaluate()->mutable_model();
  model.set_name("tenants/default/models/tom");
  EXPECT_EQ(AboutText(job), "tom");
  v1::Adapter& rex = *model.add_adapters();
  rex.set_model("tenants/default/models/rex");
  rex.set_strength(0.8);
  model.add_adapters()->set_model("tenants/default/models/inks");
  EXPECT_EQ(AboutText(job), "tom + rex:0.8 + inks");
}

TEST(DescribeTest, AJobThatWaitsSaysWhatItsWorkerMustHave) {
  v1::Job job;
  EXPECT_EQ(QueueText(job, absl::UnixEpoch()), "next in line");
  (*job.mutable_requirements()->mutable_labels())["gpu"] = "yes";
  EXPECT_EQ(QueueText(job, absl::UnixEpoch()), "next in line for a worker with gpu=yes");
  job.mutable_requirements()->set_min_device_memory_bytes(8'000'000'000);
  job.set_queue_position(2);
  EXPECT_EQ(QueueText(job, absl::UnixEpoch()),
            "2 ahead for a worker with gpu=yes and 8.0 GB of device memory");
}

TEST(DescribeTest, AMetricThatIsNotFiniteHasNoFigure) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const char* name : {"dino", "peak_memory_bytes", "training_seconds"}) {
    EXPECT_EQ(MetricText(name, -nan), "-") << name;
  }
  EXPECT_EQ(MetricText("dino", .7), "0.7");
}

TEST(DescribeTest, MeasurementsOfTwoStepsNameBoth) {
  v1::TrainingMeasurements measurements;
  EXPECT_EQ(MeasurementsText(measurements), "");
  measurements.set_prompt_score(0.281);
  measurements.set_score_step(40);
  EXPECT_EQ(MeasurementsText(measurements), "step 40 · prompt 0.281");
  measurements.set_validation_loss(0.0612);
  measurements.set_validation_loss_step(60);
  EXPECT_EQ(MeasurementsText(measurements),
            "step 60 · validation loss 0.0612 · step 40 · prompt 0.281");
}

}  // namespace
}  // namespace likeness::client
