// ModelService over a real port.
#include "likeness/v1/model_service.grpc.pb.h"
#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

class ModelServiceTest : public ServiceTest {
 protected:
  void MakeModel(const std::string& id) {
    auto request = DogJob();
    request.mutable_job()->mutable_fine_tune()->set_output_model_id(id);
    ASSERT_TRUE(Create(request).ok());
    ASSERT_TRUE(worker_.Complete(worker_.Acquire()->lease_token()).ok());
  }

  absl::StatusOr<v1::Model> GetModel(const std::string& name) {
    grpc::ClientContext context;
    v1::GetModelRequest request;
    request.set_name(name);
    v1::Model model;
    const auto status = FromGrpcStatus(models_->GetModel(&context, request, &model));
    if (!status.ok()) return status;
    return model;
  }

  absl::StatusOr<v1::Model> Update(const v1::UpdateModelRequest& request) {
    grpc::ClientContext context;
    v1::Model model;
    const auto status = FromGrpcStatus(models_->UpdateModel(&context, request, &model));
    if (!status.ok()) return status;
    return model;
  }

  absl::Status Delete(const std::string& name) {
    grpc::ClientContext context;
    v1::DeleteModelRequest request;
    request.set_name(name);
    google::protobuf::Empty reply;
    return FromGrpcStatus(models_->DeleteModel(&context, request, &reply));
  }

  absl::StatusOr<v1::ListModelsResponse> List(const v1::ListModelsRequest& request) {
    grpc::ClientContext context;
    v1::ListModelsResponse reply;
    const auto status = FromGrpcStatus(models_->ListModels(&context, request, &reply));
    if (!status.ok()) return status;
    return reply;
  }

  std::unique_ptr<v1::ModelService::Stub> models_ = v1::ModelService::NewStub(server_.channel());
};

TEST_F(ModelServiceTest, ModelSaysWhatItIsUntilItIsDeleted) {
  OfferModels();
  MakeModel("rex");
  const std::string name = "tenants/default/models/rex";
  const auto model = GetModel(name);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->class_noun(), "dog");
  EXPECT_EQ(model->base_model(), "baseModels/mini");
  EXPECT_TRUE(model->has_create_time());
  EXPECT_TRUE(Delete(name).ok());
  EXPECT_EQ(ErrorReason(GetModel(name).status()), "MODEL_NOT_FOUND");
}

TEST_F(ModelServiceTest, ModelSaysHowItWasMade) {
  OfferModels();
  ASSERT_TRUE(Create(DogJob()).ok());
  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token(worker_.Acquire()->lease_token());
  (*outcome.mutable_metrics())["loss"] = 0.25;
  ASSERT_TRUE(worker_.Complete(outcome).ok());
  const auto models = List({});
  ASSERT_EQ(models->models_size(), 1);
  const v1::Model& model = models->models(0);
  EXPECT_EQ(model.method(), "dreambooth");
  EXPECT_EQ(model.kind(), v1::MODEL_KIND_PIPELINE);
  EXPECT_EQ(model.metrics().at("loss"), 0.25);
  EXPECT_EQ(model.uid(), Get(model.job())->uid());
  EXPECT_NE(model.etag(), "");
}

TEST_F(ModelServiceTest, DisplayNameAndLabelsCanBeChangedAndNothingElse) {
  OfferModels();
  MakeModel("rex");
  const auto before = GetModel("tenants/default/models/rex");
  v1::UpdateModelRequest request;
  request.mutable_model()->set_name(before->name());
  request.mutable_model()->set_etag(before->etag());
  request.mutable_model()->set_display_name("Rex, the dog");
  const auto named = Update(request);
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_EQ(named->display_name(), "Rex, the dog");
  EXPECT_NE(named->etag(), before->etag());
  EXPECT_EQ(ErrorReason(Update(request).status()), "ETAG_MISMATCH") << "it has another one now";

  request.mutable_model()->clear_etag();
  request.mutable_model()->clear_display_name();
  (*request.mutable_model()->mutable_labels())["album"] = "summer";
  EXPECT_EQ(Update(request)->display_name(), "Rex, the dog") << "only what is set is changed";
  request.mutable_update_mask()->add_paths("display_name");
  EXPECT_EQ(Update(request)->display_name(), "") << "what the mask names is changed";
  EXPECT_EQ(GetModel(before->name())->labels().at("album"), "summer");

  *request.mutable_update_mask()->mutable_paths(0) = "files";
  EXPECT_EQ(ErrorReason(Update(request).status()), "FIELD_NOT_CHANGEABLE");
  *request.mutable_update_mask()->mutable_paths(0) = "*";
  (*request.mutable_model()->mutable_labels())["Not Allowed"] = "";
  EXPECT_EQ(ErrorReason(Update(request).status()), "INVALID_LABEL");
  request.mutable_model()->clear_labels();
  request.mutable_model()->set_name("tenants/other/models/rex");
  EXPECT_EQ(ErrorReason(Update(request).status()), "MODEL_NOT_FOUND");
}

TEST_F(ModelServiceTest, OnlyPersonalizedModelsOfOnesOwnAreFound) {
  OfferModels();
  for (const char* name :
       {"baseModels/mini", "tenants/other/models/rex", "tenants/default/models/x"}) {
    EXPECT_EQ(ErrorReason(GetModel(name).status()), "MODEL_NOT_FOUND") << name;
    EXPECT_EQ(ErrorReason(Delete(name)), "MODEL_NOT_FOUND") << name;
  }
  EXPECT_EQ(ErrorReason(GetModel("rex").status()), "INVALID_NAME");
}

TEST_F(ModelServiceTest, PagesJoinUp) {
  OfferModels();
  for (const char* id : {"c", "a", "b"}) MakeModel(id);
  v1::ListModelsRequest request;
  request.set_page_size(2);
  std::vector<std::string> names;
  do {
    const auto page = List(request);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const auto& model : page->models()) names.push_back(model.name());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(names, ::testing::ElementsAre("tenants/default/models/a", "tenants/default/models/b",
                                            "tenants/default/models/c"));
  request.set_page_size(-1);
  EXPECT_EQ(ErrorReason(List(request).status()), "OUT_OF_RANGE");
}

TEST_F(ModelServiceTest, TokenOfAnotherListIsRefused) {
  OfferModels();
  ASSERT_TRUE(Create(PictureJob()).ok());
  ASSERT_TRUE(Create(PictureJob()).ok());
  grpc::ClientContext context;
  v1::ListJobsRequest jobs;
  jobs.set_page_size(1);
  v1::ListJobsResponse page;
  ASSERT_TRUE(jobs_->ListJobs(&context, jobs, &page).ok());
  v1::ListModelsRequest request;
  request.set_page_token(page.next_page_token());
  EXPECT_EQ(ErrorReason(List(request).status()), "INVALID_PAGE_TOKEN");
}

TEST_F(ModelServiceTest, BaseModelsAreACollectionOfTheirOwn) {
  v1::AcquireLeaseRequest offer = worker_.Offer();
  offer.clear_base_models();
  for (const char* name : {"baseModels/b", "baseModels/a", "baseModels/c"}) {
    v1::BaseModel& model = *offer.add_base_models();
    model.set_name(name);
    model.set_display_name("模型");
  }
  v1::AcquireLeaseResponse nothing;
  grpc::ClientContext offering;
  ASSERT_TRUE(
      v1::WorkerService::NewStub(server_.channel())->AcquireLease(&offering, offer, &nothing).ok());
  EXPECT_FALSE(nothing.server_version().empty());

  std::vector<std::string> names;
  v1::ListBaseModelsRequest request;
  request.set_page_size(2);
  do {
    grpc::ClientContext context;
    v1::ListBaseModelsResponse reply;
    ASSERT_TRUE(models_->ListBaseModels(&context, request, &reply).ok());
    for (const auto& model : reply.base_models()) names.push_back(model.name());
    request.set_page_token(reply.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(names, (std::vector<std::string>{"baseModels/a", "baseModels/b", "baseModels/c"}));

  const auto get = [&](const std::string& name) -> absl::StatusOr<v1::BaseModel> {
    grpc::ClientContext context;
    v1::GetBaseModelRequest get_request;
    get_request.set_name(name);
    v1::BaseModel model;
    const auto status = FromGrpcStatus(models_->GetBaseModel(&context, get_request, &model));
    if (!status.ok()) return status;
    return model;
  };
  EXPECT_EQ(get("baseModels/b")->display_name(), "模型");
  EXPECT_EQ(ErrorReason(get("baseModels/d").status()), "MODEL_NOT_FOUND");
  EXPECT_EQ(ErrorReason(get("models/b").status()), "INVALID_NAME");
}

}  // namespace
}  // namespace likeness::server
