#include "client/cli/field_flags.h"

#include <gtest/gtest.h>

namespace likeness::client {
namespace {

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
  EXPECT_EQ(FlagForField("job.import_model.inline"), "FILE");
  EXPECT_EQ(FlagForField("job.import_model.token"), "--rare-token");
  EXPECT_EQ(FlagForField("job.import_model.base_model"), "--base");
  EXPECT_EQ(FlagForField("job.fine_tune.initial_model"), "--initial-model");
  EXPECT_EQ(FlagForField("job.fine_tune.lora.rank"), "--rank");
  EXPECT_EQ(FlagForField("job.fine_tune.lora.alpha"), "--alpha");
  EXPECT_EQ(FlagForField("job.fine_tune.textual_inversion.vectors"), "--vectors");
  EXPECT_EQ(FlagForField("job.fine_tune.training.learning_rate_schedule"), "--schedule");
  EXPECT_EQ(FlagForField("job.fine_tune.training.learning_rate"), "--learning-rate");
  EXPECT_EQ(FlagForField("job.fine_tune.prior.kind"), "--prior-kind");
  EXPECT_EQ(FlagForField("job.fine_tune.pivotal_tuning.lora.rank"), "--rank");
  EXPECT_EQ(FlagForField("job.fine_tune.hypernetwork.layer_structure[1]"), "--layer-structure");
  EXPECT_EQ(FlagForField("generate.preview_every_steps"), "--preview-every");
  EXPECT_EQ(FlagForField("job.generate.precision"), "--precision");
  EXPECT_EQ(FlagForField("job.generate.seed"), "--seed");
  EXPECT_EQ(FlagForField("job.fine_tune.lora.train_text_encoder"), "--train-text-encoder");
  EXPECT_EQ(FlagForField("job.fine_tune.lora.dropout"), "");
  EXPECT_EQ(FlagForField("job.fine_tune.subjects[0].token"), "--rare-token");
  EXPECT_EQ(FlagForField("job.fine_tune.subjects[0].require_single_token"), "");
  EXPECT_EQ(FlagForField("job.fine_tune.subjects[1].token"), "--also");
}

}  // namespace
}  // namespace likeness::client
