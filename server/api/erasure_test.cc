// EraseModel and EraseJob over a real port: nothing of the subject is left.
#include <filesystem>

#include "common/digest.h"
#include "likeness/v1/model_service.grpc.pb.h"
#include "likeness/v1/worker_service.grpc.pb.h"
#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

using ::likeness::testing::TempFolder;
using ::testing::UnorderedElementsAre;

class ErasureTest : public ServiceTest {
 protected:
  explicit ErasureTest(std::unique_ptr<TempFolder> folder = std::make_unique<TempFolder>())
      : ServiceTest([&](ServerOptions& options) { options.data_dir = folder->path() + "/data"; }),
        folder_(std::move(folder)) {}

  std::string Path() const { return folder_->path() + "/data"; }

  // A subject of which a photo, a checkpoint, a preview and a model are stored, and a picture drawn
  // with it. `weights`: the content of the model's file.
  void MakeSubject(const std::string& id, const std::string& weights, bool lora = false) {
    OfferModels();
    auto request = DogJob();
    request.set_job_id(id);
    if (lora) request.mutable_job()->mutable_fine_tune()->mutable_lora();
    const auto job = Create(request);
    ASSERT_TRUE(job.ok()) << job.status();
    const std::string token = worker_.Acquire()->lease_token();
    v1::HeartbeatRequest news;
    news.set_lease_token(token);
    news.set_sequence(1);
    news.mutable_checkpoint()->set_blob(*worker_.Upload("checkpoint of " + id));
    news.add_samples()->mutable_output()->set_blob(*worker_.Upload("preview of " + id));
    ASSERT_TRUE(worker_.Heartbeat(news).ok());
    v1::CompleteLeaseRequest outcome;
    outcome.set_lease_token(token);
    auto& file = *outcome.add_outputs();
    file.set_kind(v1::OUTPUT_KIND_MODEL_FILE);
    file.set_path("model/unet/weights");
    file.set_blob(*worker_.Upload(weights));
    ASSERT_TRUE(worker_.Complete(outcome).ok());
  }

  std::string Draw(const std::string& model) {
    auto request = PictureJob();
    request.mutable_job()->mutable_generate()->mutable_model()->set_name(model);
    return Create(request)->name();
  }

  void FinishDrawing(const std::string& picture) {
    v1::CompleteLeaseRequest outcome;
    outcome.set_lease_token(worker_.Acquire()->lease_token());
    auto& image = *outcome.add_outputs();
    image.set_kind(v1::OUTPUT_KIND_IMAGE);
    image.set_path("samples/0000.png");
    image.set_blob(*worker_.Upload(picture));
    ASSERT_TRUE(worker_.Complete(outcome).ok());
  }

  absl::StatusOr<v1::Erasure> EraseModel(const std::string& name) {
    grpc::ClientContext context;
    v1::EraseModelRequest request;
    request.set_name(name);
    v1::Erasure reply;
    const auto status = FromGrpcStatus(models_->EraseModel(&context, request, &reply));
    if (!status.ok()) return status;
    return reply;
  }

  absl::StatusOr<v1::Erasure> EraseJob(const std::string& name) {
    grpc::ClientContext context;
    v1::EraseJobRequest request;
    request.set_name(name);
    v1::Erasure reply;
    const auto status = FromGrpcStatus(jobs_->EraseJob(&context, request, &reply));
    if (!status.ok()) return status;
    return reply;
  }

  bool IsStored(const std::string& content) {
    const std::string digest = Sha256Hex(content);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(Path() + "/blobs")) {
      if (entry.path().filename().string().find(digest) != std::string::npos) return true;
    }
    return false;
  }

  v1::AcquireLeaseResponse Poll(int64_t erasure_number) {
    auto offer = worker_.Offer();
    offer.add_features("erasure");
    offer.set_erasure_number(erasure_number);
    grpc::ClientContext context;
    v1::AcquireLeaseResponse reply;
    const auto workers = v1::WorkerService::NewStub(server_.channel());
    EXPECT_TRUE(workers->AcquireLease(&context, offer, &reply).ok());
    return reply;
  }

  std::unique_ptr<TempFolder> folder_;
  std::unique_ptr<v1::ModelService::Stub> models_ = v1::ModelService::NewStub(server_.channel());
};

TEST_F(ErasureTest, CheckpointsThatLaterOnesReplacedGoAtOnce) {
  OfferModels();
  auto request = DogJob();
  request.set_job_id("rex");
  ASSERT_TRUE(Create(request).ok());
  v1::HeartbeatRequest news;
  news.set_lease_token(worker_.Acquire()->lease_token());
  for (const std::string checkpoint : {"first", "second", "third"}) {
    news.set_sequence(news.sequence() + 1);
    news.mutable_checkpoint()->set_step(news.sequence());
    news.mutable_checkpoint()->set_blob(*worker_.Upload(checkpoint));
    ASSERT_TRUE(worker_.Heartbeat(news).ok());
  }
  ASSERT_TRUE(worker_.Complete(news.lease_token()).ok());
  const auto erasure = EraseJob("tenants/default/jobs/rex");
  ASSERT_TRUE(erasure.ok()) << erasure.status();
  EXPECT_EQ(erasure->erased_blobs(), 4);  // and the photo
  for (const char* checkpoint : {"first", "second", "third"}) {
    EXPECT_FALSE(IsStored(checkpoint)) << checkpoint;
  }
}

TEST_F(ErasureTest, ModelGoesWithAllThatMadeItAndAllThatWasDrawnWithIt) {
  MakeSubject("rex", "weights of rex");
  const std::string drawn = Draw("tenants/default/models/rex");
  FinishDrawing("picture of rex");
  const auto erasure = EraseModel("tenants/default/models/rex");
  ASSERT_TRUE(erasure.ok()) << erasure.status();
  EXPECT_THAT(erasure->jobs(), UnorderedElementsAre("tenants/default/jobs/rex", drawn));
  EXPECT_THAT(erasure->models(), UnorderedElementsAre("tenants/default/models/rex"));
  EXPECT_EQ(erasure->erased_blobs(), 5);  // photo, checkpoint, preview, weights, picture
  EXPECT_EQ(erasure->shared_blobs(), 0);
  EXPECT_EQ(erasure->pending_blobs(), 0);
  EXPECT_TRUE(erasure->has_erase_time());
  for (const auto& content : std::vector<std::string>{
           "checkpoint of rex", "preview of rex", "weights of rex", "picture of rex", PngPhoto()}) {
    EXPECT_FALSE(IsStored(content)) << content;
  }
  EXPECT_EQ(ErrorReason(Get("tenants/default/jobs/rex").status()), "JOB_NOT_FOUND");
  EXPECT_EQ(ErrorReason(Get(drawn).status()), "JOB_NOT_FOUND");
  EXPECT_EQ(ErrorReason(EraseModel("tenants/default/models/rex").status()), "MODEL_NOT_FOUND");
}

TEST_F(ErasureTest, JudgementGoesWithTheModelThatItJudged) {
  MakeSubject("rex", "weights of rex");
  v1::CreateJobRequest request;
  v1::EvaluateSpec& spec = *request.mutable_job()->mutable_evaluate();
  spec.mutable_model()->set_name("tenants/default/models/rex");
  const std::string photo = PngPhoto(77, 77);
  spec.add_photos()->set_inline_(photo);
  const auto job = Create(request);
  ASSERT_TRUE(job.ok()) << job.status();
  FinishDrawing("a judged picture");
  const auto erased = EraseModel("tenants/default/models/rex");
  ASSERT_TRUE(erased.ok()) << erased.status();
  EXPECT_THAT(erased->jobs(), ::testing::Contains(job->name()));
  EXPECT_FALSE(IsStored(photo));
  EXPECT_FALSE(IsStored("a judged picture"));
}

TEST_F(ErasureTest, JobGoesWithTheModelThatItMade) {
  MakeSubject("rex", "weights of rex");
  const auto erasure = EraseJob("tenants/default/jobs/rex");
  ASSERT_TRUE(erasure.ok()) << erasure.status();
  EXPECT_THAT(erasure->models(), UnorderedElementsAre("tenants/default/models/rex"));
  EXPECT_FALSE(IsStored("weights of rex"));
}

TEST_F(ErasureTest, WhatAnotherModelNamesStays) {
  MakeSubject("rex", "the same weights");
  MakeSubject("rosie", "the same weights");  // and the same photo
  const auto erasure = EraseModel("tenants/default/models/rex");
  ASSERT_TRUE(erasure.ok()) << erasure.status();
  EXPECT_EQ(erasure->erased_blobs(), 2);
  EXPECT_EQ(erasure->shared_blobs(), 2);
  EXPECT_TRUE(IsStored("the same weights"));
  EXPECT_EQ(EraseModel("tenants/default/models/rosie")->erased_blobs(), 4);
}

TEST_F(ErasureTest, NothingIsErasedWhileAJobOfTheSubjectHasNotEnded) {
  MakeSubject("rex", "weights of rex");
  const std::string drawn = Draw("tenants/default/models/rex");
  EXPECT_EQ(ErrorReason(EraseModel("tenants/default/models/rex").status()), "MODEL_IN_USE");
  EXPECT_EQ(ErrorReason(EraseJob("tenants/default/jobs/rex").status()), "MODEL_IN_USE");
  EXPECT_EQ(ErrorReason(EraseJob(drawn).status()), "JOB_NOT_FINISHED");
  EXPECT_TRUE(Get("tenants/default/jobs/rex").ok());
  EXPECT_TRUE(IsStored("weights of rex"));
  ASSERT_TRUE(Cancel(drawn).ok());
  EXPECT_TRUE(EraseModel("tenants/default/models/rex").ok());
}

TEST_F(ErasureTest, NothingIsErasedWhileAJobTrainsOnFromTheModel) {
  MakeSubject("rex", "weights of rex", /*lora=*/true);
  const std::string model = "tenants/default/models/rex";
  auto request = DogJob();
  request.mutable_job()->mutable_fine_tune()->mutable_lora();
  request.mutable_job()->mutable_fine_tune()->set_initial_model(model);
  const auto job = Create(request);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(ErrorReason(EraseModel(model).status()), "MODEL_IN_USE");
  EXPECT_EQ(ErrorReason(EraseJob("tenants/default/jobs/rex").status()), "MODEL_IN_USE");
  EXPECT_TRUE(IsStored("weights of rex"));
  ASSERT_TRUE(Cancel(job->name()).ok());
  EXPECT_TRUE(EraseModel(model).ok());
  EXPECT_TRUE(Get(job->name()).ok()) << "of which its caller keeps the record";
}

TEST_F(ErasureTest, WorkerOfTheTimeBeforeARestoreIsToldWhatIsErasedSince) {
  EXPECT_EQ(Poll(50).erased_models_size(), 0) << "as the store that was replaced said";
  MakeSubject("rex", "weights of rex");
  ASSERT_TRUE(EraseModel("tenants/default/models/rex").ok());
  const auto told = Poll(50);
  EXPECT_EQ(told.erased_models_size(), 1);
  EXPECT_LT(told.erasure_number(), 50);
  EXPECT_EQ(Poll(told.erasure_number()).erased_models_size(), 0);
}

TEST_F(ErasureTest, WorkersAreToldOnceWhichCopiesToErase) {
  MakeSubject("rex", "weights of rex");
  EXPECT_EQ(Poll(0).erased_models_size(), 0);
  ASSERT_TRUE(EraseModel("tenants/default/models/rex").ok());
  const auto told = Poll(0);
  ASSERT_EQ(told.erased_models_size(), 1);
  EXPECT_EQ(told.erased_models(0).name(), "tenants/default/models/rex");
  EXPECT_EQ(told.erased_models(0).files(0).path(), "unet/weights");
  EXPECT_EQ(Poll(told.erasure_number()).erased_models_size(), 0);
  EXPECT_TRUE(absl::IsNotFound(worker_.Acquire(absl::ZeroDuration()).status()))
      << "workers of before are not told";
}

}  // namespace
}  // namespace likeness::server
