#include "client/cli/field_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "likeness/v1/job.pb.h"

namespace likeness::client {
namespace {

// The settings below `path` that no flag fills.
void FindFlagless(const google::protobuf::Descriptor& message, const std::string& path,
                  std::vector<std::string>& flagless) {
  for (int i = 0; i < message.field_count(); ++i) {
    const auto& field = *message.field(i);
    const bool list = field.is_repeated() && field.message_type() != nullptr;
    const std::string place = absl::StrCat(path, field.name(), list ? "[0]" : "");
    if (!FlagForField(place).empty()) continue;
    if (field.message_type() != nullptr) {
      FindFlagless(*field.message_type(), place + ".", flagless);
    } else {
      flagless.push_back(place);
    }
  }
}

TEST(FieldFlagsTest, EverySettingHasAFlag) {
  std::vector<std::string> flagless;
  FindFlagless(*v1::FineTuneSpec::descriptor(), "job.fine_tune.", flagless);
  FindFlagless(*v1::GenerateSpec::descriptor(), "job.generate.", flagless);
  FindFlagless(*v1::EvaluateSpec::descriptor(), "job.evaluate.", flagless);
  std::erase_if(flagless, [](const std::string& field) {
    // --name names job and model. Pivotal tuning's LoRA has no part in the text encoders.
    for (const char* without : {"output_model_id", "pivotal_tuning.lora.train_text_encoder",
                                "pivotal_tuning.lora.text_encoder_"}) {
      if (absl::StrContains(field, without)) return true;
    }
    return false;
  });
  EXPECT_THAT(flagless, testing::IsEmpty());
}

TEST(FieldFlagsTest, FieldsAreNamedByTheFlagThatSetsThem) {
  EXPECT_EQ(FlagForField("job.generate.model.name"), "--model");
  EXPECT_EQ(FlagForField("generate.model.adapters[0].strength"), "--adapter");
  EXPECT_EQ(FlagForField("job.generate.model.adapters"), "--adapter");
  EXPECT_EQ(FlagForField("job.evaluate.model.name"), "MODEL");
  EXPECT_EQ(FlagForField("job.evaluate.measures[1]"), "--measure");
  EXPECT_EQ(FlagForField("job.export_model.model.name"), "MODEL");
  EXPECT_EQ(FlagForField("job.export_model.model.adapters[1].model"), "--adapter");
  EXPECT_EQ(FlagForField("job.export_model.format"), "--format");
  EXPECT_EQ(FlagForField("job.export_model.rank"), "--rank");
  EXPECT_EQ(FlagForField("job.export_model.energy"), "--energy");
  EXPECT_EQ(FlagForField("job.import_model.inline"), "FILE");
  EXPECT_EQ(FlagForField("job.import_model.token"), "--rare-token");
  EXPECT_EQ(FlagForField("job.import_model.base_model"), "--base");
  EXPECT_EQ(FlagForField("job.fine_tune.initial_model"), "--initial-model");
  EXPECT_EQ(FlagForField("job.fine_tune.lora.rank"), "--rank");
  EXPECT_EQ(FlagForField("job.fine_tune.lora.alpha"), "--alpha");
  EXPECT_EQ(FlagForField("job.fine_tune.lora.min_rank"), "--min-rank");
  EXPECT_EQ(FlagForField("job.fine_tune.textual_inversion.vectors"), "--vectors");
  EXPECT_EQ(FlagForField("job.fine_tune.training.learning_rate_schedule"), "--schedule");
  EXPECT_EQ(FlagForField("job.fine_tune.training.learning_rate"), "--learning-rate");
  EXPECT_EQ(FlagForField("job.fine_tune.prior.kind"), "--prior-kind");
  EXPECT_EQ(FlagForField("job.fine_tune.pivotal_tuning.lora.rank"), "--rank");
  EXPECT_EQ(FlagForField("job.fine_tune.hypernetwork.layer_structure[1]"), "--layer-structure");
  EXPECT_EQ(FlagForField("job.fine_tune.hypernetwork.weight_initialization"),
            "--weight-initialization");
  EXPECT_EQ(FlagForField("generate.preview_every_steps"), "--preview-every");
  EXPECT_EQ(FlagForField("job.generate.precision"), "--precision");
  EXPECT_EQ(FlagForField("job.generate.seed"), "--seed");
  EXPECT_EQ(FlagForField("job.fine_tune.lora.train_text_encoder"), "--train-text-encoder");
  EXPECT_EQ(FlagForField("job.fine_tune.lora.dropout"), "--dropout");
  EXPECT_EQ(FlagForField("job.fine_tune.judge.measures[1]"), "--measure");
  EXPECT_EQ(FlagForField("job.evaluate.model.adapters[0].strength"), "--adapter");
  EXPECT_EQ(FlagForField("job.fine_tune.subjects[0].token"), "--rare-token");
  EXPECT_EQ(FlagForField("job.fine_tune.subjects[0].require_single_token"),
            "--require-single-token");
  EXPECT_EQ(FlagForField("job.fine_tune.subjects[1].crop"), "--crop");
  EXPECT_EQ(FlagForField("job.fine_tune.subjects[1].token"), "--also");
}

}  // namespace
}  // namespace likeness::client
