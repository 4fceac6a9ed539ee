// GenerateImages over a real port.
#include <thread>

#include "absl/time/clock.h"
#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

using GenerateImagesTest = ServiceTest;

TEST_F(GenerateImagesTest, GenerateImagesStreamsThePictures) {
  OfferModels();
  std::thread work([this] {
    const auto lease = worker_.Acquire(absl::Seconds(30));
    ASSERT_TRUE(lease.ok());
    v1::CompleteLeaseRequest outcome;
    outcome.set_lease_token(lease->lease_token());
    auto* output = outcome.add_outputs();
    output->set_path("samples/0000.png");
    output->set_kind(v1::OUTPUT_KIND_IMAGE);
    output->set_blob(*worker_.Upload(PngPhoto()));
    ASSERT_TRUE(worker_.Complete(outcome).ok());
  });
  grpc::ClientContext context;
  v1::GenerateImagesRequest request;
  request.mutable_generate()->add_prompts("a dog");
  auto stream = jobs_->GenerateImages(&context, request);
  std::vector<v1::GenerateImagesResponse> messages;
  for (v1::GenerateImagesResponse message; stream->Read(&message);) messages.push_back(message);
  EXPECT_TRUE(stream->Finish().ok());
  work.join();
  ASSERT_GE(messages.size(), 3u);
  EXPECT_TRUE(messages.front().has_job());
  EXPECT_EQ(messages[messages.size() - 2].image().png(), PngPhoto());
  EXPECT_EQ(messages.back().job().state(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(GenerateImagesTest, ClientOfGenerateImagesThatGoesAwayCancelsTheJob) {
  OfferModels();
  grpc::ClientContext context;
  v1::GenerateImagesRequest request;
  request.mutable_generate()->add_prompts("a dog");
  auto stream = jobs_->GenerateImages(&context, request);
  v1::GenerateImagesResponse message;
  ASSERT_TRUE(stream->Read(&message));
  const std::string name = message.job().name();
  context.TryCancel();
  v1::WaitJobRequest wait;
  wait.set_name(name);
  grpc::ClientContext waiting;
  v1::Job job;
  ASSERT_TRUE(jobs_->WaitJob(&waiting, wait, &job).ok());
  EXPECT_EQ(job.state(), v1::JOB_STATE_CANCELLED);
}

TEST_F(GenerateImagesTest, GenerateImagesEndsWellHoweverItsJobEnds) {
  OfferModels();
  std::thread work([&] {
    const auto lease = worker_.Acquire(absl::Seconds(20));
    ASSERT_TRUE(lease.ok()) << lease.status();
    ASSERT_TRUE(worker_.Fail(lease->lease_token(), /*retryable=*/false).ok());
  });
  grpc::ClientContext context;
  v1::GenerateImagesRequest request;
  request.mutable_generate()->add_prompts("a dog");
  auto stream = jobs_->GenerateImages(&context, request);
  v1::GenerateImagesResponse last;
  for (v1::GenerateImagesResponse message; stream->Read(&message);) last = message;
  EXPECT_TRUE(stream->Finish().ok());
  work.join();
  EXPECT_EQ(last.job().state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(last.job().error().message(), "as told");
}

TEST_F(GenerateImagesTest, TheLimitsOfTheCallAreSaidWithTheValue) {
  OfferModels();
  const auto refused = [&](int prompts, int each) {
    grpc::ClientContext context;
    v1::GenerateImagesRequest request;
    for (int i = 0; i < prompts; ++i) request.mutable_generate()->add_prompts("a dog");
    request.mutable_generate()->set_images_per_prompt(each);
    auto stream = jobs_->GenerateImages(&context, request);
    v1::GenerateImagesResponse message;
    EXPECT_FALSE(stream->Read(&message));
    return FromGrpcStatus(stream->Finish());
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(std::string(refused(1, 0).message()),
              HasSubstr("is 0; 1 to 16 is allowed in one call"));
  EXPECT_THAT(std::string(refused(1, 65).message()),
              HasSubstr("is 65; 1 to 16 is allowed in one call"));
  EXPECT_THAT(
      std::string(refused(2, 9).message()),
      HasSubstr("is 9, which makes 18 images in total; at most 16 are allowed in one call"));
  EXPECT_EQ(ErrorReason(refused(2, 9)), "TOO_MANY_IMAGES");
}

TEST_F(GenerateImagesTest, GenerateImagesUnderARequestIdCanBeTakenUpAgain) {
  OfferModels();
  v1::GenerateImagesRequest request;
  request.mutable_generate()->add_prompts("a dog");
  request.set_request_id("once");
  std::string name;
  {
    grpc::ClientContext context;
    auto stream = jobs_->GenerateImages(&context, request);
    v1::GenerateImagesResponse message;
    ASSERT_TRUE(stream->Read(&message));
    name = message.job().name();
    context.TryCancel();
    while (stream->Read(&message)) {
    }
  }
  const auto lease = worker_.Acquire(absl::Seconds(20));
  ASSERT_TRUE(lease.ok()) << "the job was cancelled with the call: " << lease.status();
  EXPECT_EQ(lease->job().name(), name);
  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token(lease->lease_token());
  const std::string sizes[] = {PngPhoto(), PngPhoto() + std::string(1 << 20, 'x')};
  for (const std::string& png : sizes) {
    auto* output = outcome.add_outputs();
    output->set_path("samples/" + std::to_string(outcome.outputs_size()) + ".png");
    output->set_kind(v1::OUTPUT_KIND_IMAGE);
    output->set_blob(*worker_.Upload(png));
  }
  ASSERT_TRUE(worker_.Complete(outcome).ok());
  grpc::ClientContext context;
  auto stream = jobs_->GenerateImages(&context, request);
  std::vector<v1::GenerateImagesResponse> messages;
  for (v1::GenerateImagesResponse message; stream->Read(&message);) messages.push_back(message);
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_GE(messages.size(), 4u);
  EXPECT_EQ(messages.back().job().name(), name);
  EXPECT_EQ(messages.back().job().state(), v1::JOB_STATE_SUCCEEDED);
  const auto& small = messages[messages.size() - 3].image();
  const auto& large = messages[messages.size() - 2].image();
  EXPECT_EQ(small.png(), PngPhoto());
  EXPECT_EQ(large.png(), "") << "it would not fit into a message";
  EXPECT_EQ(large.output().blob(), outcome.outputs(1).blob());
}

class ShortEventRetentionImagesTest : public ServiceTest {
 protected:
  ShortEventRetentionImagesTest()
      : ServiceTest(
            [](ServerOptions& options) { options.retention.events = absl::ZeroDuration(); }) {
    OfferModels();
    request_.mutable_generate()->add_prompts("a dog");
    request_.set_request_id("once");
  }

  std::vector<v1::GenerateImagesResponse> Generate() {
    grpc::ClientContext context;
    auto stream = jobs_->GenerateImages(&context, request_);
    std::vector<v1::GenerateImagesResponse> messages;
    for (v1::GenerateImagesResponse message; stream->Read(&message);) messages.push_back(message);
    const auto status = FromGrpcStatus(stream->Finish());
    EXPECT_TRUE(status.ok()) << status;
    return messages;
  }

  // Creates the job, and leaves.
  std::string Start() {
    grpc::ClientContext context;
    auto stream = jobs_->GenerateImages(&context, request_);
    v1::GenerateImagesResponse message;
    EXPECT_TRUE(stream->Read(&message));
    context.TryCancel();
    return message.job().name();
  }

  void WaitUntilEventsAreGone(const std::string& name, const std::string& token) {
    for (int i = 0; i < 1000; ++i) {
      if (ErrorReason(Watch(name, token).second) == "RESUME_TOKEN_EXPIRED") return;
      absl::SleepFor(absl::Milliseconds(20));
    }
    ADD_FAILURE() << "the events are kept";
  }

  v1::GenerateImagesRequest request_;
};

TEST_F(ShortEventRetentionImagesTest, PicturesAreStreamedAgainThoughTheEventsAreGone) {
  const std::string name = Start();
  const std::string token = TokenOfSnapshot(name);
  const auto lease = worker_.Acquire(absl::Seconds(20));
  ASSERT_TRUE(lease.ok()) << lease.status();
  ASSERT_TRUE(worker_.Report(lease->lease_token(), 5).ok());
  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token(lease->lease_token());
  auto* output = outcome.add_outputs();
  output->set_path("samples/0000.png");
  output->set_kind(v1::OUTPUT_KIND_IMAGE);
  output->set_blob(*worker_.Upload(PngPhoto()));
  ASSERT_TRUE(worker_.Complete(outcome).ok());
  WaitUntilEventsAreGone(name, token);
  const auto messages = Generate();
  ASSERT_EQ(messages.size(), 3u) << "no progress is left";
  EXPECT_EQ(messages[0].job().name(), name);
  EXPECT_EQ(messages[1].image().png(), PngPhoto());
  EXPECT_EQ(messages[2].job().state(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(ShortEventRetentionImagesTest, JobThatIsTriedAgainIsFollowedFromWhereItIs) {
  const std::string name = Start();
  const std::string token = TokenOfSnapshot(name);
  const auto lease = worker_.Acquire(absl::Seconds(20));
  ASSERT_TRUE(lease.ok()) << lease.status();
  ASSERT_TRUE(worker_.Report(lease->lease_token(), 5).ok());
  ASSERT_TRUE(worker_.Fail(lease->lease_token(), /*retryable=*/false).ok());
  WaitUntilEventsAreGone(name, token);
  grpc::ClientContext context;
  v1::RetryJobRequest retry;
  retry.set_name(name);
  v1::Job job;
  ASSERT_TRUE(jobs_->RetryJob(&context, retry, &job).ok());
  std::thread work([this] {
    const auto second = worker_.Acquire(absl::Seconds(20));
    ASSERT_TRUE(second.ok()) << second.status();
    ASSERT_TRUE(worker_.Complete(second->lease_token()).ok());
  });
  const auto messages = Generate();
  work.join();
  ASSERT_FALSE(messages.empty());
  EXPECT_EQ(messages.back().job().state(), v1::JOB_STATE_SUCCEEDED);
}

}  // namespace
}  // namespace likeness::server
