// What `likeness export` sends and says.
#include <filesystem>
#include <string>
#include <vector>

#include "client/cli/exit_code.h"
#include "client/testing/program_fixture.h"
#include "gmock/gmock.h"

namespace likeness::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ExportTest : public ProgramTest {
 protected:
  ExportTest() {
    script_.models.emplace_back().set_name("tenants/default/models/rex-7f3c");
    script_.models.emplace_back().set_name("tenants/default/models/inks");
    script_.job.set_name("tenants/default/jobs/out-1");
    script_.job.set_state(v1::JOB_STATE_SUCCEEDED);
    script_.job.mutable_export_model();
    *script_.events.emplace_back().mutable_snapshot() = script_.job;
  }

  Ran Export(const std::vector<std::string>& flags) {
    std::vector<std::string> command = {"export", "rex-7f3c"};
    command.insert(command.end(), flags.begin(), flags.end());
    return Run(command);
  }
  v1::ExportSpec asked() const { return server_->record().create.job().export_model(); }
  void Measured(const std::string& name, double value) {
    (*script_.job.mutable_metrics())[name] = value;
  }
};

TEST_F(ExportTest, PrintsTheFilesAndWhatALoraLeavesOut) {
  AddOutput(script_, "export/lora.safetensors", v1::OUTPUT_KIND_EXPORT, "factors");
  AddOutput(script_, "report.html", v1::OUTPUT_KIND_REPORT, "page");
  Measured("lora_weight_error", 0.05);
  auto ran = Export({"--format=lora", "--rank=32", "--out=rex-lora"});
  ASSERT_EQ(ran.exit_code, kDone) << ran.err;
  EXPECT_EQ(asked().format(), v1::EXPORT_FORMAT_LORA);
  EXPECT_EQ(asked().rank(), 32);
  EXPECT_EQ(asked().model().name(), "tenants/default/models/rex-7f3c");
  EXPECT_EQ(ran.out, "rex-lora/lora.safetensors\n");
  EXPECT_EQ(ReadFile(folder_.path() / "rex-lora/lora.safetensors"), "factors");
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "rex-lora/report.html"));
  EXPECT_THAT(ran.err, AllOf(HasSubstr("lora        5 % of what the model changes is left out\n"),
                             Not(HasSubstr("merge"))));

  Measured("lora_weight_error", 0.25);
  ran = Export({"--format=lora"});
  EXPECT_EQ(ran.out, "lora.safetensors\n");
  EXPECT_THAT(ran.err, HasSubstr("25 % of what the model changes is left out; a higher --rank"));
}

TEST_F(ExportTest, SaysHowLargeALoraOfAShareOfTheEnergyIs) {
  AddOutput(script_, "export/lora.safetensors", v1::OUTPUT_KIND_EXPORT, std::string(4120, 'x'));
  AddOutput(script_, "export/kohya.safetensors", v1::OUTPUT_KIND_EXPORT, std::string(4000, 'x'));
  script_.job.mutable_export_model()->set_energy(0.95);
  Measured("lora_rank_least", 1);
  Measured("lora_rank", 37);
  Measured("lora_rank_mean", 6.25);
  Measured("lora_energy", 0.951);
  Measured("lora_weight_error", 0.3);
  const auto ran = Export({"--format=lora", "--energy=0.95"});
  ASSERT_EQ(ran.exit_code, kDone) << ran.err;
  EXPECT_EQ(asked().energy(), 0.95);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("ranks 1 to 37, 6.25 in the mean · 95.1 % of the energy is "
                                       "kept · 4.1 kB a file"),
                             Not(HasSubstr("a higher --rank"))));
}

TEST_F(ExportTest, SaysWhatAMergeDoesToTheAdapters) {
  AddOutput(script_, "export/model.safetensors", v1::OUTPUT_KIND_EXPORT, "weights");
  Measured("adapter_overlap", 0.125);
  auto ran = Export({"--format=single_file", "--adapter=inks:0.5", "--merge=sum", "--float16"});
  ASSERT_EQ(ran.exit_code, kDone) << ran.err;
  EXPECT_TRUE(asked().float16());
  ASSERT_EQ(asked().model().adapters_size(), 1);
  EXPECT_EQ(asked().model().adapters(0).model(), "tenants/default/models/inks");
  EXPECT_EQ(asked().model().adapters(0).strength(), 0.5);
  const std::string overlap =
      "12.5 % of what the later adapters change is parallel to those before them";
  EXPECT_THAT(ran.err, HasSubstr(overlap + "\n"));
  script_.job.mutable_export_model()->set_merge(v1::ADAPTER_MERGE_ORTHOGONAL);
  EXPECT_THAT(Export({"--format=single_file", "--merge=orthogonal"}).err,
              HasSubstr(overlap + ", and left out\n"));

  script_.job.clear_metrics();
  Measured("merge_word_error", 0.01);
  Measured("merge_caption_change", 1.5);
  EXPECT_THAT(
      Export({"--format=single_file", "--merge=constrained"}).err,
      HasSubstr("1 % of what subjects' words give is lost · other words change 1.5 times as "
                "much as in a sum\n"));
}

TEST_F(ExportTest, WhatIsMissingOrWrongIsSaidBeforeAJobIsMade) {
  const auto missing = Export({});
  EXPECT_EQ(missing.exit_code, kWrongUse);
  EXPECT_THAT(missing.err, HasSubstr("--format is missing: diffusers|single_file|lora."));
  EXPECT_THAT(Export({"--format=onnx"}).err, HasSubstr("onnx"));
  EXPECT_THAT(Export({"--format=lora", "--merge=mean"}).err, HasSubstr("mean"));
  EXPECT_FALSE(server_->record().create.has_job());
}

}  // namespace
}  // namespace likeness::client
