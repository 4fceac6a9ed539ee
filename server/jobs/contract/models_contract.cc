// Models: made by jobs, listed, deleted; base models on offer.
#include "common/job_spec.h"
#include "server/jobs/contract/job_store_contract.h"

namespace likeness::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_P(JobStoreTest, RetriedJobTakesTheNameOfItsModelAgain) {
  NewJob training = PictureJob("t");
  training.job.mutable_fine_tune()->set_base_model("baseModels/mini");
  training.job.set_output_model("tenants/default/models/rex");
  ASSERT_TRUE(store().Create(training).ok());
  ASSERT_TRUE(store().Cancel({"default", "t"}, "").ok());
  training.job.set_name("tenants/default/jobs/rival");
  ASSERT_TRUE(store().Create(training).ok());
  EXPECT_EQ(ErrorReason(Retry("t").status()), "MODEL_EXISTS");
  EXPECT_EQ(StateOf("t"), v1::JOB_STATE_CANCELLED) << "nothing of it is kept";
  ASSERT_TRUE(store().Cancel({"default", "rival"}, "").ok());
  ASSERT_TRUE(Retry("t").ok());
  EXPECT_EQ(ErrorReason(Retry("rival").status()), "MODEL_EXISTS");
}

TEST_P(JobStoreTest, ModelExistsOnceItsJobSucceeded) {
  NewJob training = PictureJob("t");
  training.job.mutable_fine_tune()->set_base_model("baseModels/mini");
  training.job.set_output_model("tenants/default/models/rex");
  const ModelName rex{"default", "rex"};
  EXPECT_EQ(ErrorReason(store().GetModel(rex).status()), "MODEL_NOT_FOUND");
  ASSERT_TRUE(store().Create(training).ok());
  EXPECT_EQ(ErrorReason(store().GetModel(rex).status()), "MODEL_NOT_READY");
  EXPECT_EQ(ErrorReason(store().DeleteModel(rex)), "MODEL_NOT_READY");
  EXPECT_THAT(store().ListModels("default", "", 10)->models, IsEmpty());
  NewJob rival = training;
  rival.job.set_name("tenants/default/jobs/rival");
  EXPECT_EQ(ErrorReason(store().Create(rival).status()), "MODEL_EXISTS");

  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token(AcquireAs("w").lease_token());
  auto* file = outcome.add_outputs();
  file->set_path("model/unet/config.json");
  file->set_kind(v1::OUTPUT_KIND_MODEL_FILE);
  file->set_size_bytes(7);
  outcome.add_outputs()->set_path("samples/0.png");
  MutableSubjectOf(*outcome.mutable_resolved()->mutable_fine_tune()).set_token("rhf");
  outcome.mutable_resolved()->set_base_model_digest("d1");
  ASSERT_TRUE(store().Complete(outcome).ok());
  const auto model = store().GetModel(rex);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->name(), "tenants/default/models/rex");
  EXPECT_EQ(model->job(), "tenants/default/jobs/t");
  EXPECT_EQ(model->base_model(), "baseModels/mini");
  EXPECT_EQ(model->base_model_digest(), "d1");
  EXPECT_EQ(model->token(), "rhf");
  EXPECT_EQ(model->size_bytes(), 7);
  EXPECT_EQ(model->files_size(), 1);

  NewJob drawing = PictureJob("d");
  drawing.job.mutable_generate()->mutable_model()->set_name("tenants/default/models/rex");
  ASSERT_TRUE(store().Create(drawing).ok());
  const auto lease = AcquireAs("w");
  ASSERT_EQ(lease.models_size(), 1);
  EXPECT_EQ(lease.models(0).name(), "tenants/default/models/rex");
  ASSERT_EQ(lease.models(0).files_size(), 1);
  EXPECT_EQ(lease.models(0).files(0).path(), "unet/config.json");
}

TEST_P(JobStoreTest, DrawingWithAPersonalizedModelIsMeasuredForItsBaseModel) {
  NewJob training = PictureJob("t");
  training.job.mutable_fine_tune()->set_base_model("baseModels/mini");
  training.job.set_output_model("tenants/default/models/rex");
  ASSERT_TRUE(store().Create(training).ok());
  v1::CompleteLeaseRequest trained;
  trained.set_lease_token(AcquireAs("w").lease_token());
  trained.mutable_resolved()->mutable_fine_tune();
  trained.mutable_resolved()->set_base_model_digest("base-digest");
  ASSERT_TRUE(store().Complete(trained).ok());

  NewJob drawing = PictureJob("d");
  drawing.job.mutable_generate()->mutable_model()->set_name("tenants/default/models/rex");
  ASSERT_TRUE(store().Create(drawing).ok());
  v1::CompleteLeaseRequest drawn;
  drawn.set_lease_token(AcquireAs("w").lease_token());
  drawn.mutable_resolved()->mutable_generate()->add_prompts("a dog");
  drawn.mutable_resolved()->set_base_model_digest("digest-of-rex");
  for (const char* phase : {"preparing_seconds", "samples_seconds", "uploading_seconds"}) {
    (*drawn.mutable_metrics())[phase] = 1;
  }
  ASSERT_TRUE(store().Complete(drawn).ok());
  EXPECT_EQ(store().MeasuredRates("base-digest", "generate")->size(), 1u);
  EXPECT_THAT(*store().MeasuredRates("digest-of-rex", "generate"), IsEmpty());
}

TEST_P(JobStoreTest, ModelsAreListedByNameInPages) {
  for (const char* id : {"c", "a", "b"}) MakeModel(id);
  const auto ids = [](const ModelPage& page) {
    std::vector<std::string> ids;
    for (const v1::Model& model : page.models) ids.push_back(model.name().substr(23));
    return ids;
  };
  const auto first = *store().ListModels("default", "", 2);
  EXPECT_THAT(ids(first), ElementsAre("a", "b"));
  ASSERT_TRUE(first.next);
  const auto second = *store().ListModels("default", *first.next, 2);
  EXPECT_THAT(ids(second), ElementsAre("c"));
  EXPECT_FALSE(second.next);
  EXPECT_THAT(store().ListModels("another", "", 2)->models, IsEmpty());
}

TEST_P(JobStoreTest, ModelIsDeletedOnceNobodyDrawsWithIt) {
  MakeModel("rex");
  const ModelName rex{"default", "rex"};
  NewJob drawing = PictureJob("d");
  drawing.job.mutable_generate()->mutable_model()->set_name(rex.ToString());
  ASSERT_TRUE(store().Create(drawing).ok());
  EXPECT_EQ(ErrorReason(store().DeleteModel(rex)), "MODEL_IN_USE");
  ASSERT_TRUE(store().Cancel({"default", "d"}, "").ok());
  EXPECT_TRUE(store().DeleteModel(rex).ok());
  EXPECT_EQ(ErrorReason(store().DeleteModel(rex)), "MODEL_NOT_FOUND");
  EXPECT_EQ(StateOf("make-rex"), v1::JOB_STATE_SUCCEEDED) << "the job that made it stays";
  NewJob again = PictureJob("again");
  again.job.mutable_fine_tune()->set_base_model("baseModels/mini");
  again.job.set_output_model(rex.ToString());
  EXPECT_TRUE(store().Create(again).ok()) << "the name is free";
}

TEST_P(JobStoreTest, NameOfAFailedJobsModelIsFreeAgain) {
  NewJob training = PictureJob("t");
  training.job.mutable_fine_tune()->set_base_model("baseModels/mini");
  training.job.set_output_model("tenants/default/models/rex");
  ASSERT_TRUE(store().Create(training).ok());
  ASSERT_TRUE(store().Cancel({"default", "t"}, "").ok());
  training.job.set_name("tenants/default/jobs/again");
  EXPECT_TRUE(store().Create(training).ok());
}

TEST_P(JobStoreTest, BaseModelsAreRemembered) {
  v1::BaseModel model;
  model.set_name("baseModels/mini");
  model.set_digest("d1");
  ASSERT_TRUE(store().OfferBaseModels({model}).ok());
  model.set_digest("d2");
  ASSERT_TRUE(store().OfferBaseModels({model}).ok());
  Reopen();
  const auto models = *store().BaseModels();
  ASSERT_EQ(models.size(), 1u);
  EXPECT_EQ(models[0].digest(), "d2");
}

TEST_P(JobStoreTest, BaseModelThatNobodyOffersAgainIsForgotten) {
  v1::BaseModel mine, stray;
  mine.set_name("baseModels/mini");
  stray.set_name("baseModels/stray");
  ASSERT_TRUE(store().OfferBaseModels({mine, stray}).ok());
  clock_.Advance(absl::Hours(6 * 24));
  ASSERT_TRUE(store().OfferBaseModels({mine}).ok());
  clock_.Set(clock_.Now() + absl::Hours(1000));  // that somebody set the date ends no offer
  EXPECT_EQ(store().BaseModels()->size(), 2u);
  clock_.Advance(absl::Hours(24));
  for (int i = 0; i < 2; ++i) {
    const auto models = *store().BaseModels();
    ASSERT_EQ(models.size(), 1u);
    EXPECT_EQ(models[0].name(), "baseModels/mini");
    ASSERT_TRUE(
        store().CheckWritable().ok());  // now and then, which keeps the time that has passed
    Reopen();
  }
}

}  // namespace
}  // namespace likeness::server
