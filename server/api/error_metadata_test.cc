// What errors tell programs, over a real port.
#include <string>

#include "likeness/v1/model_service.grpc.pb.h"
#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

class ErrorMetadataTest : public ServiceTest {
 protected:
  absl::Status Generate(const v1::GenerateImagesRequest& request) {
    grpc::ClientContext context;
    auto stream = jobs_->GenerateImages(&context, request);
    for (v1::GenerateImagesResponse message; stream->Read(&message);) continue;
    return FromGrpcStatus(stream->Finish());
  }
};

TEST_F(ErrorMetadataTest, ABoundIsTold) {
  OfferModels();
  auto request = DogJob();
  request.mutable_job()->set_priority(7);
  const ErrorMetadata bounds = {{"field", "job.priority"}, {"minimum", "1"}, {"maximum", "5"}};
  EXPECT_EQ(MetadataOf(Create(request).status()), bounds);
  request = PictureJob();
  for (int i = 0; i < 70; ++i) request.mutable_job()->mutable_generate()->add_prompts("a dog");
  const ErrorMetadata limit = {{"field", "job.generate.prompts"}, {"limit", "64"}};
  EXPECT_EQ(MetadataOf(Create(request).status()), limit);
}

TEST_F(ErrorMetadataTest, TheResourceIsTold) {
  OfferModels();
  const ErrorMetadata missing = {{"resource", "tenants/default/jobs/nobody"}};
  EXPECT_EQ(MetadataOf(Get("tenants/default/jobs/nobody").status()), missing);
  const ErrorMetadata of_another = {{"resource", "tenants/other/jobs/a"}};
  EXPECT_EQ(MetadataOf(Get("tenants/other/jobs/a").status()), of_another);
  auto request = PictureJob();
  request.set_job_id("a");
  ASSERT_TRUE(Create(request).ok());
  const ErrorMetadata there = {{"resource", "tenants/default/jobs/a"}};
  EXPECT_EQ(MetadataOf(Create(request).status()), there);

  grpc::ClientContext context;
  v1::DeleteJobRequest deletion;
  deletion.set_name("tenants/default/jobs/a");
  google::protobuf::Empty nothing;
  const auto refused = FromGrpcStatus(jobs_->DeleteJob(&context, deletion, &nothing));
  EXPECT_EQ(ErrorReason(refused), "JOB_NOT_FINISHED");
  EXPECT_EQ(MetadataOf(refused).at("state"), "JOB_STATE_PENDING");

  grpc::ClientContext another;
  v1::CancelJobRequest cancel;
  cancel.set_name("tenants/default/jobs/a");
  cancel.set_etag("W/\"77-0\"");
  v1::Job job;
  const auto changed = FromGrpcStatus(jobs_->CancelJob(&another, cancel, &job));
  EXPECT_EQ(ErrorReason(changed), "ETAG_MISMATCH");
  EXPECT_EQ(MetadataOf(changed).at("etag"), Get("tenants/default/jobs/a")->etag());
}

TEST_F(ErrorMetadataTest, GenerateImagesNamesTheFieldsOfItsOwnRequest) {
  OfferModels();
  v1::GenerateImagesRequest request;
  request.mutable_generate()->add_prompts("a dog");
  request.mutable_generate()->set_steps(5000);
  auto refused = Generate(request);
  EXPECT_EQ(FieldViolations(refused).at(0).field, "generate.steps");
  EXPECT_EQ(MetadataOf(refused).at("field"), "generate.steps");
  EXPECT_EQ(refused.message(), "generate.steps: is 5000; 1 to 1000 is allowed");

  request.mutable_generate()->clear_steps();
  request.mutable_generate()->mutable_model()->set_name("odd");
  refused = Generate(request);
  EXPECT_EQ(FieldViolations(refused).at(0).field, "generate.model.name");

  request.mutable_generate()->clear_model();
  request.mutable_generate()->clear_prompts();
  EXPECT_EQ(FieldViolations(Generate(request)).at(0).field, "generate.prompts");
}

}  // namespace
}  // namespace likeness::server
