// What CreateJob accepts and warns of.
#include "common/job_spec.h"
#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class WarningsTest : public ServiceTest {
 protected:
  WarningsTest() { OfferModels(); }

  std::vector<std::string> Warnings(const v1::CreateJobRequest& request) {
    const auto job = Create(request);
    EXPECT_TRUE(job.ok()) << job.status();
    if (!job.ok()) return {};
    return {job->warnings().begin(), job->warnings().end()};
  }

  std::vector<std::string> WarningsOf(const std::vector<std::string>& prompts) {
    auto request = PictureJob();
    request.mutable_job()->mutable_generate()->mutable_prompts()->Assign(prompts.begin(),
                                                                         prompts.end());
    return Warnings(request);
  }
};

TEST_F(WarningsTest, OtherTextBetweenBracesIsReadAsWritten) {
  EXPECT_THAT(WarningsOf({"a {subject} and a {class}", "{subject2}, {class12}, {}, }{, {a"}),
              IsEmpty());
  EXPECT_THAT(
      WarningsOf({"a { subject} in the snow", "a { subject} and a {red|blue} hat"}),
      ElementsAre("\"{ subject}\" in a prompt is read as written; did you mean {subject}? "
                  "{subject} and {class} are replaced",
                  "\"{red|blue}\" in a prompt is read as written; {subject} and {class} are "
                  "replaced"));
}

TEST_F(WarningsTest, AnEmptyPromptSaysNothing) {
  EXPECT_THAT(WarningsOf({"a dog", " "}), ElementsAre(HasSubstr("a prompt is empty")));
  auto request = DogJob();
  request.mutable_job()->mutable_fine_tune()->mutable_samples()->add_prompts("");
  EXPECT_THAT(Warnings(request), Contains(HasSubstr("a prompt is empty")));
}

TEST_F(WarningsTest, ATokenAmongTheWordsForTheClassNamesTheSubjectInItsPrompts) {
  auto request = DogJob();
  auto& subject = MutableSubjectOf(*request.mutable_job()->mutable_fine_tune());
  subject.set_class_noun("sks dog");
  EXPECT_THAT(Warnings(request), Not(Contains(HasSubstr("contains the token"))));
  subject.set_token("sks");
  EXPECT_THAT(Warnings(request), Contains(HasSubstr("\"sks dog\" contains the token \"sks\"")));
}

TEST_F(WarningsTest, AnAdapterInAPromptIsWordsWithoutTheSetting) {
  EXPECT_THAT(WarningsOf({"a <lora:rex:1> dog", "a <lora:ink"}),
              ElementsAre(HasSubstr("\"<lora:rex:1>\" in a prompt is read as words")));
}

TEST_F(WarningsTest, AValidationPhotoThatIsTrainedOnIsNamed) {
  auto request = DogJob();
  auto& subject = MutableSubjectOf(*request.mutable_job()->mutable_fine_tune());
  subject.add_photos()->set_inline_(PngPhoto(80, 64));
  subject.add_validation_photos()->set_inline_(PngPhoto(96, 64));
  EXPECT_THAT(Warnings(request), Not(Contains(HasSubstr("same file"))));
  subject.add_validation_photos()->set_inline_(PngPhoto(80, 64));
  const auto says_so = Contains(HasSubstr("validation_photos[1] is the same file as photos[1]"));
  EXPECT_THAT(Warnings(request), says_so);
  request.set_validate_only(true);
  EXPECT_THAT(Warnings(request), says_so);
}

TEST_F(WarningsTest, WhatNoWorkerHasIsNamed) {
  auto request = PictureJob();
  auto& requirements = *request.mutable_job()->mutable_requirements();
  (*requirements.mutable_labels())["gpu"] = "yes";
  requirements.set_min_device_memory_bytes(8);
  EXPECT_THAT(Warnings(request),
              ElementsAre("when the job was created, no worker had gpu=yes and a device with 8 "
                          "bytes of memory; it waits for one that has"));
  auto offer = worker_.Offer();
  (*offer.mutable_labels())["gpu"] = "yes";
  offer.set_device_memory_bytes(8);
  offer.clear_methods();  // takes no job
  grpc::ClientContext context;
  v1::AcquireLeaseResponse reply;
  const auto workers = v1::WorkerService::NewStub(server_.channel());
  ASSERT_TRUE(workers->AcquireLease(&context, offer, &reply).ok());
  EXPECT_THAT(Warnings(request), IsEmpty());
}

}  // namespace
}  // namespace likeness::server
