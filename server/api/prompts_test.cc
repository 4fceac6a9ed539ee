// Which prompts a job may have, and how subjects are named in them, over a real port.
#include <string>

#include "common/job_spec.h"
#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

using PromptsTest = ServiceTest;

TEST_F(PromptsTest, PromptsAreChecked) {
  OfferModels();
  auto request = PictureJob();
  auto* spec = request.mutable_job()->mutable_generate();
  spec->set_prompts(0, std::string(10'000, 'x'));
  ExpectRefused(request, "PROMPT_TOO_LONG", "job.generate.prompts[0]");
  spec->set_prompts(0, "a dog\x07");
  ExpectRefused(request, "CONTROL_CHARACTERS", "job.generate.prompts[0]");
  for (const char* fine : {"", "a dog \xF0\x9F\x90\xB6"}) {
    spec->set_prompts(0, fine);
    EXPECT_TRUE(Create(request).ok()) << fine;
  }
  spec->set_width(65);
  ExpectRefused(request, "OUT_OF_RANGE", "job.generate.width");
}

TEST_F(PromptsTest, WeightsInPromptsAreCheckedWhereTheyAreRead) {
  OfferModels();
  auto request = PictureJob();
  auto& spec = *request.mutable_job()->mutable_generate();
  spec.set_prompts(0, "a (dog:999) in the snow");
  EXPECT_TRUE(Create(request).ok()) << "these are words";
  spec.set_prompt_weights(true);
  request.set_validate_only(true);
  ExpectRefused(request, "OUT_OF_RANGE", "job.generate.prompts[0]");
  EXPECT_EQ(FieldViolations(Create(request).status())[0].description,
            "has the weight \"999\"; numbers from -100 to 100 are allowed");
  spec.set_prompts(0, "a (dog:1.2)");
  EXPECT_TRUE(Create(request).ok());
  spec.set_negative_prompt("(red:1.2.3)");
  ExpectRefused(request, "OUT_OF_RANGE", "job.generate.negative_prompt");
  v1::GenerateImagesRequest now;
  *now.mutable_generate() = spec;
  grpc::ClientContext context;
  const auto pictures = jobs_->GenerateImages(&context, now);
  v1::GenerateImagesResponse none;
  EXPECT_FALSE(pictures->Read(&none));
  const auto status = FromGrpcStatus(pictures->Finish());
  ASSERT_FALSE(FieldViolations(status).empty()) << status;
  EXPECT_EQ(FieldViolations(status)[0].field, "generate.negative_prompt");
}

TEST_F(PromptsTest, APlaceholderThatIsUnknownIsNamedByItsField) {
  OfferModels();
  auto drawing = PictureJob();
  drawing.mutable_job()->mutable_generate()->set_prompts(0, "a {subjekt}");
  ExpectRefused(drawing, "UNKNOWN_PLACEHOLDER", "job.generate.prompts[0]");
  EXPECT_THAT(FieldViolations(Create(drawing).status())[0].description,
              ::testing::StartsWith("holds {subjekt}, which is no placeholder; did you mean"));
  auto request = DogJob();
  v1::FineTuneSpec& spec = *request.mutable_job()->mutable_fine_tune();
  v1::Photo& photo = *spec.mutable_subjects(0)->mutable_photos(0);
  photo.set_caption("{subject} and {subjct}");
  const std::string path = "job.fine_tune.";
  ExpectRefused(request, "UNKNOWN_PLACEHOLDER", path + "subjects[0].photos[0].caption");
  photo.set_caption("{subject}");
  spec.mutable_samples()->add_prompts("a {sbject}");
  ExpectRefused(request, "UNKNOWN_PLACEHOLDER", path + "samples.prompts[0]");
  spec.mutable_samples()->set_prompts(0, "a {subject}");
  spec.mutable_previews()->add_prompts("a {token}");
  ExpectRefused(request, "UNKNOWN_PLACEHOLDER", path + "previews.prompts[0]");
  spec.clear_previews();
  spec.mutable_prior()->set_class_prompt("a {klass}");
  ExpectRefused(request, "UNKNOWN_PLACEHOLDER", path + "prior.class_prompt");
  spec.mutable_prior()->set_class_prompt("a {class}");
  EXPECT_TRUE(Create(request).ok());
}

TEST_F(PromptsTest, AClassNounHasNoBraces) {
  OfferModels();
  auto request = DogJob();
  v1::Subject& subject = *request.mutable_job()->mutable_fine_tune()->mutable_subjects(0);
  for (const char* noun : {"{subject}", "{class}", "small {dog"}) {
    subject.set_class_noun(noun);
    ExpectRefused(request, "UNKNOWN_PLACEHOLDER", "job.fine_tune.subjects[0].class_noun");
  }
}

TEST_F(PromptsTest, AFurtherSubjectMayNotHaveTheDefaultTokenThatTheFirstOneGets) {
  OfferModels();
  auto request = DogJob();
  v1::FineTuneSpec& spec = *request.mutable_job()->mutable_fine_tune();
  spec.mutable_subjects(0)->clear_token();
  v1::Subject& other = *spec.add_subjects() = spec.subjects(0);
  other.set_token("Sks");
  request.set_validate_only(true);
  ExpectRefused(request, "INVALID_TOKEN", "job.fine_tune.subjects[1].token");
  EXPECT_EQ(FieldViolations(Create(request).status())[0].description,
            "is \"Sks\", the default token of baseModels/mini, which the first subject has because "
            "it names none; each subject needs a token of its own");
  spec.mutable_subjects(0)->set_token("zwx");
  EXPECT_TRUE(Create(request).ok()) << "the first one names another";
}

TEST_F(PromptsTest, UpToEightSubjectsHaveTokensOfTheirOwn) {
  OfferModels();
  auto request = DogJob();
  v1::FineTuneSpec& spec = *request.mutable_job()->mutable_fine_tune();
  spec.mutable_subjects(0)->set_token("zwx");
  v1::Subject& other = *spec.add_subjects() = spec.subjects(0);
  ExpectRefused(request, "INVALID_TOKEN", "job.fine_tune.subjects[1].token");
  other.set_token("ZWX");
  ExpectRefused(request, "INVALID_TOKEN", "job.fine_tune.subjects[1].token");
  other.clear_token();
  ExpectRefused(request, "INVALID_TOKEN", "job.fine_tune.subjects[1].token");
  other.set_token("abc");
  EXPECT_EQ(Create(request)->fine_tune().subjects_size(), 2);
  other.clear_photos();
  ExpectRefused(request, "NO_PHOTOS", "job.fine_tune.subjects[1].photos");
  *other.mutable_photos() = spec.subjects(0).photos();
  spec.mutable_training()->set_stop_rule(v1::STOP_RULE_BEST);
  ExpectRefused(request, "OUT_OF_RANGE", "job.fine_tune.training.stop_rule");
  spec.mutable_training()->clear_stop_rule();
  while (spec.subjects_size() < 9) {
    v1::Subject more = spec.subjects(0);
    more.set_token("token" + std::to_string(spec.subjects_size()));
    *spec.add_subjects() = more;
  }
  ExpectRefused(request, "TOO_MANY_SUBJECTS", "job.fine_tune.subjects");
  spec.mutable_subjects()->RemoveLast();
  EXPECT_EQ(Create(request)->fine_tune().subjects_size(), 8);
}

TEST_F(PromptsTest, AFurtherNumberThanThereAreSubjectsIsRefused) {
  OfferModels();
  auto request = DogJob();
  v1::FineTuneSpec& spec = *request.mutable_job()->mutable_fine_tune();
  spec.mutable_samples()->add_prompts("a {subject1}");
  ExpectRefused(request, "UNKNOWN_PLACEHOLDER", "job.fine_tune.samples.prompts[0]");
  EXPECT_EQ(FieldViolations(Create(request).status())[0].description,
            "holds {subject1}; of one subject, {subject} and {class} have no number");
  spec.mutable_subjects(0)->set_token("zwx");
  v1::Subject& other = *spec.add_subjects() = spec.subjects(0);
  other.set_token("abc");
  other.mutable_photos(0)->set_caption("a {subject} beside a {class1}");
  EXPECT_TRUE(Create(request).ok());
  spec.mutable_previews()->add_prompts("{subject1} and {subject3}");
  ExpectRefused(request, "UNKNOWN_PLACEHOLDER", "job.fine_tune.previews.prompts[0]");
  EXPECT_EQ(FieldViolations(Create(request).status())[0].description,
            "holds {subject3}; there are 2 subjects");
  spec.clear_previews();
  other.mutable_photos(0)->set_caption("a {subject} beside a {class3}");
  ExpectRefused(request, "UNKNOWN_PLACEHOLDER", "job.fine_tune.subjects[1].photos[0].caption");
}

}  // namespace
}  // namespace likeness::server
