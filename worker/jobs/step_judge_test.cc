#include "worker/jobs/step_judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "common/job_spec.h"
#include "common/judging.h"
#include "common/rpc_error.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

v1::FineTuneSpec BestStepSpec() {
  v1::FineTuneSpec spec;
  spec.mutable_dreambooth();
  v1::Subject& subject = MutableSubjectOf(spec);
  subject.set_token("sks");
  subject.set_class_noun("dog");
  spec.mutable_training()->set_stop_rule(v1::STOP_RULE_BEST);
  return spec;
}

TEST(StepJudgeTest, AsManyPromptsAreLeftWhateverTheJobReportsOn) {
  v1::FineTuneSpec spec = BestStepSpec();
  std::set<std::string> reported;
  while (reported.size() < 64) {  // as many as a job may have
    const auto prompts = StepPrompts(spec);
    ASSERT_EQ(prompts.size(), size_t{kStepImagesJudged}) << reported.size();
    EXPECT_EQ(std::set<std::string>(prompts.begin(), prompts.end()).size(), prompts.size());
    for (const auto& prompt : prompts) {
      EXPECT_TRUE(reported.insert(prompt).second) << prompt;
      spec.mutable_samples()->add_prompts(prompt);
    }
  }
  EXPECT_EQ(StepPrompts(spec).size(), size_t{kStepImagesJudged});
}

TEST(StepJudgeTest, JobThatGoesOnWithoutItsEvaluatorsMayGoOnElsewhere) {
  const std::vector<EvaluatorFiles> first = {
      {.name = "clip-b", .directory = {}, .kind = EvaluatorKind::kClip, .general = true}};
  const std::vector<EvaluatorFiles> other = {
      {.name = "clip-l", .directory = {}, .kind = EvaluatorKind::kClip, .general = true}};
  v1::FineTuneSpec spec = BestStepSpec();
  NameStepJudges(first, spec);
  EXPECT_THAT(spec.judge().evaluators(), ::testing::ElementsAre("clip-b"));
  EXPECT_TRUE(Guard([&] { CheckResumedJudges(first, spec); }).ok());
  for (const auto& found : {other, std::vector<EvaluatorFiles>()}) {
    const absl::Status status = Guard([&] { CheckResumedJudges(found, spec); });
    EXPECT_EQ(ErrorReason(status), "EVALUATORS_DIFFER") << status;
    EXPECT_TRUE(IsRetryable(status));
  }
}

TEST(StepJudgeTest, JudgedJobGoesOnWhereItsEvaluatorsAre) {
  v1::FineTuneSpec spec = BestStepSpec();
  spec.mutable_training()->clear_stop_rule();
  spec.mutable_judge()->add_evaluators("clip-b");
  EXPECT_TRUE(Guard([&] { CheckResumedJudges({}, spec); }).ok()) << "nothing is judged";
  spec.mutable_judge()->set_enabled(true);
  EXPECT_TRUE(IsRetryable(Guard([&] { CheckResumedJudges({}, spec); })));
}

}  // namespace
}  // namespace likeness
