#include "worker/jobs/judge_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/base/io/temp_dir.h"
#include "worker/evaluation/tiny_evaluators.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Hears what is warned of.
class WarnedEnvironment : public JobEnvironment {
 public:
  const std::filesystem::path& scratch() const override { return scratch_.path(); }
  void FetchBlob(const std::string&, const std::filesystem::path&, const OnBytes&) override {}
  void Keep(const std::filesystem::path&, const v1::Output&, const OnBytes&) override {}
  void Resolved(const v1::ResolvedSpec&) override {}
  void Warn(const std::string& warning) override { warned.push_back(warning); }
  void Report(const v1::Progress&) override {}
  void Show(const v1::SampleEvent&, const std::filesystem::path&) override {}
  StopReason Stop() override { return StopReason::kNone; }
  void SaveCheckpoint(int64_t, const std::filesystem::path&) override {}

  std::vector<std::string> warned;

 private:
  TempDir scratch_;
};

class ResolveJudgeTest : public ::testing::Test {
 protected:
  ResolveJudgeTest() {
    WriteTinyEvaluators(models_.path() / "evaluators");
    found_ = FindEvaluators(models_.path()).found;
    v1::Subject& subject = *spec_.add_subjects();
    subject.set_token("sks");
    subject.set_class_noun("dog");
    spec_.mutable_judge()->set_enabled(true);
  }

  absl::Status Resolve() {
    return Guard([&] { ResolveJudge(found_, spec_, judges_, environment_); });
  }

  TempDir models_;
  std::vector<EvaluatorFiles> found_;
  WarmEvaluators judges_{torch::kCPU};
  WarnedEnvironment environment_;
  v1::FineTuneSpec spec_;
};

TEST_F(ResolveJudgeTest, OneOfThePromptsThatNamesTheSubjectIsEnough) {
  spec_.mutable_samples()->add_prompts("a {class}");
  spec_.mutable_samples()->add_prompts("a {subject}");
  ASSERT_TRUE(Resolve().ok());
  EXPECT_THAT(spec_.judge().measures(), Contains(v1::MEASURE_DINO));
  EXPECT_THAT(environment_.warned, ElementsAre());
}

TEST_F(ResolveJudgeTest, WithoutTheSubjectInAPromptItsLikenessIsLeftOut) {
  spec_.mutable_samples()->add_prompts("a {class}");
  spec_.clear_judge();  // and by default, too
  ASSERT_TRUE(Resolve().ok());
  EXPECT_TRUE(spec_.judge().enabled());
  EXPECT_THAT(spec_.judge().measures(), ElementsAre(v1::MEASURE_CLIP_T, v1::MEASURE_PRES));
  EXPECT_THAT(environment_.warned, ElementsAre(HasSubstr("names the subject, \"sks\"")));
}

TEST_F(ResolveJudgeTest, ALikenessThatIsAskedForNeedsAPromptWithTheSubject) {
  spec_.mutable_samples()->add_prompts("a {class}");
  spec_.mutable_judge()->add_measures(v1::MEASURE_CLIP_T);
  spec_.mutable_judge()->add_measures(v1::MEASURE_COPYING);
  const absl::Status status = Resolve();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("job.fine_tune.judge.measures[1]"));
}

TEST_F(ResolveJudgeTest, EvaluatorsThatMeasureNothingElseDoNotJudgeWithoutTheSubject) {
  spec_.mutable_samples()->add_prompts("a {class}");
  spec_.mutable_judge()->add_evaluators("tiny-lpips");
  EXPECT_TRUE(absl::IsInvalidArgument(Resolve()));
  spec_.mutable_judge()->clear_enabled();
  spec_.mutable_judge()->clear_measures();
  ASSERT_TRUE(Resolve().ok());
  EXPECT_FALSE(spec_.judge().enabled());
  EXPECT_THAT(environment_.warned, ElementsAre(HasSubstr("the images are not judged")));
}

TEST_F(ResolveJudgeTest, OfSeveralSubjectsTheFirstIsJudgedWherePromptsNameIt) {
  v1::Subject& other = *spec_.add_subjects();
  other.set_token("zwx");
  other.set_class_noun("cat");
  spec_.mutable_samples()->add_prompts("a {subject2}");
  ASSERT_TRUE(Resolve().ok());
  EXPECT_THAT(spec_.judge().measures(), Not(Contains(v1::MEASURE_DINO)));
  EXPECT_THAT(environment_.warned, Contains(HasSubstr("of the subjects the first, \"sks\"")));
}

TEST(WarnOfUnmeasured, SaysOfEachThatIsNamedWhatItNeeds) {
  WarnedEnvironment environment;
  ProtoMeasures named;
  for (const auto measure : {v1::MEASURE_RANK, v1::MEASURE_DINO, v1::MEASURE_DIV})
    named.Add(measure);
  WarnOfUnmeasured(named, {{"dino", 0.5}, {"rank_first_photos", 1}}, environment);
  EXPECT_THAT(
      environment.warned,
      ElementsAre("the measure DIV is left out: it needs two pictures of the subject of one "
                  "prompt, of 64 pixels or more",
                  "the measure RANK is left out: it needs a look-alike that is none of the "
                  "photos"));
}

TEST(JudgedWords, AreThoseOfTheFirstSubjectThatAPromptNames) {
  const PromptWords words{"sks", "dog", {{"sks", "dog"}, {"sks-2", "cat"}, {"zwx", "duck"}}};
  const auto noun = [&](const std::vector<std::string>& prompts) {
    return JudgedWords(words, prompts).class_noun;
  };
  EXPECT_EQ(noun({"a sks-2 cat", "a sks dog"}), "dog");
  EXPECT_EQ(noun({"a zwx duck beside a sks-2 cat"}), "cat");
  EXPECT_EQ(JudgedWords(words, {"a zwx duck"}).token, "zwx");
  EXPECT_EQ(noun({"a duck"}), "dog");
  EXPECT_EQ(JudgedWords({"sks", "dog"}, {"a dog"}).token, "sks");
}

TEST(AnyNamesSubject, IsTrueWhereNoTokenIsKnown) {
  EXPECT_TRUE(AnyNamesSubject({"a dog"}, {}));
  EXPECT_FALSE(AnyNamesSubject({"a dog"}, {"sks", "dog"}));
  EXPECT_TRUE(AnyNamesSubject({"a dog", "a sks dog"}, {"sks", "dog"}));
}

}  // namespace
}  // namespace likeness
