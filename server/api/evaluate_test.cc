// Evaluate jobs over a real port: what is accepted, what is refused, what a worker gets.
#include "likeness/v1/capabilities_service.grpc.pb.h"
#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

using ::testing::HasSubstr;

class EvaluateTest : public ServiceTest {
 protected:
  void MakeModel() {
    OfferModels();
    auto request = DogJob();
    request.set_job_id("rex");
    ASSERT_TRUE(Create(request).ok());
    ASSERT_TRUE(worker_.Complete(worker_.Acquire()->lease_token()).ok());
  }

  // Whether a worker that knows these methods alone gets a job.
  bool WouldGetAJob(const std::vector<std::string>& methods) {
    auto offer = worker_.Offer();
    offer.mutable_methods()->Assign(methods.begin(), methods.end());
    return WouldGetAJob(offer);
  }

  bool WouldGetAJob(const v1::AcquireLeaseRequest& offer) {
    grpc::ClientContext context;
    v1::AcquireLeaseResponse reply;
    EXPECT_TRUE(
        v1::WorkerService::NewStub(server_.channel())->AcquireLease(&context, offer, &reply).ok());
    return reply.has_lease();
  }

  // The one worker offers its base models without measures now.
  void NobodyJudges() {
    auto offer = worker_.Offer();
    for (auto& base : *offer.mutable_base_models()) base.clear_measures();
    ASSERT_FALSE(WouldGetAJob(offer));
  }

  // Of a worker beside worker_, with these measures.
  v1::AcquireLeaseRequest OfferOfAnother(const std::vector<v1::Measure>& measures) const {
    auto offer = worker_.Offer();
    offer.set_worker("another");
    auto& base = *offer.mutable_base_models(0);
    base.clear_measures();
    for (const auto measure : measures) base.add_measures(measure);
    return offer;
  }

  static v1::CreateJobRequest Judgement() {
    v1::CreateJobRequest request;
    v1::EvaluateSpec& spec = *request.mutable_job()->mutable_evaluate();
    spec.mutable_model()->set_name("tenants/default/models/rex");
    spec.add_photos()->set_inline_(PngPhoto());
    return request;
  }
};

TEST_F(EvaluateTest, JobIsLeasedWithItsPhotosAsBlobsAndItsModel) {
  MakeModel();
  const auto job = Create(Judgement());
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_TRUE(job->evaluate().photos(0).has_blob());
  EXPECT_TRUE(job->evaluate().has_seed());
  EXPECT_THAT(job->output_model(), "");
  const auto lease = worker_.Acquire();
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_EQ(lease->job().name(), job->name());
  ASSERT_EQ(lease->models_size(), 1);
  EXPECT_EQ(lease->models(0).name(), "tenants/default/models/rex");
}

TEST_F(EvaluateTest, LookAlikesAreBlobsAndWaitForAWorkerThatRanks) {
  MakeModel();
  const auto ranks = OfferOfAnother({v1::MEASURE_DINO, v1::MEASURE_RANK});
  EXPECT_FALSE(WouldGetAJob(ranks));
  auto request = Judgement();
  request.mutable_job()->mutable_evaluate()->add_gallery()->set_inline_(PngPhoto());
  const auto job = Create(request);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_TRUE(job->evaluate().gallery(0).has_blob());
  EXPECT_FALSE(WouldGetAJob(worker_.Offer()));  // of MEASURE_DINO
  EXPECT_TRUE(WouldGetAJob(ranks));
}

TEST_F(EvaluateTest, PhotosOfTheBasicViewAreLeftOut) {
  MakeModel();
  ASSERT_FALSE(WouldGetAJob(OfferOfAnother({v1::MEASURE_RANK})));
  auto judgement = Judgement();
  judgement.mutable_job()->mutable_evaluate()->add_gallery()->set_inline_(PngPhoto());
  ASSERT_TRUE(Create(judgement).ok());
  grpc::ClientContext context;
  v1::ListJobsRequest request;
  request.set_filter("method = evaluate");
  request.set_view(v1::JOB_VIEW_BASIC);
  v1::ListJobsResponse reply;
  ASSERT_TRUE(jobs_->ListJobs(&context, request, &reply).ok());
  ASSERT_EQ(reply.jobs_size(), 1);
  EXPECT_EQ(reply.jobs(0).evaluate().model().name(), "tenants/default/models/rex");
  EXPECT_EQ(reply.jobs(0).evaluate().photos_size(), 0);
  EXPECT_EQ(reply.jobs(0).evaluate().gallery_size(), 0);
}

TEST_F(EvaluateTest, WithoutEvaluatorsThereIsNoJudgement) {
  MakeModel();
  NobodyJudges();
  auto training = DogJob();
  training.mutable_job()->mutable_fine_tune()->mutable_judge()->set_enabled(true);
  training.mutable_job()->mutable_fine_tune()->mutable_samples()->add_prompts("a {subject}");
  for (const auto& request : {Judgement(), training}) {
    const auto status = Create(request).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_EQ(ErrorReason(status), "NO_EVALUATORS");
  }
}

TEST_F(EvaluateTest, TheBestStepIsPickedWhereSomebodyJudgesAlone) {
  MakeModel();
  NobodyJudges();
  auto best = DogJob();
  auto& training = *best.mutable_job()->mutable_fine_tune()->mutable_training();
  training.set_stop_rule(v1::STOP_RULE_BEST);
  EXPECT_EQ(ErrorReason(Create(best).status()), "NO_EVALUATORS");
  training.set_stop_rule(static_cast<v1::StopRule>(99));
  ExpectRefused(best, "OUT_OF_RANGE", "job.fine_tune.training.stop_rule");
}

TEST_F(EvaluateTest, EvaluatorsOfAnotherBaseModelAreNoHelp) {
  MakeModel();
  auto offer = worker_.Offer();
  auto& other = *offer.add_base_models() = offer.base_models(0);
  other.set_name("baseModels/other");
  offer.mutable_base_models(0)->clear_measures();
  ASSERT_FALSE(WouldGetAJob(offer));
  EXPECT_EQ(ErrorReason(Create(Judgement()).status()), "NO_EVALUATORS");
}

TEST_F(EvaluateTest, BadFieldsAreRefused) {
  MakeModel();
  const auto refused = [this](const std::string& reason, const std::string& field,
                              const std::function<void(v1::EvaluateSpec&)>& change) {
    auto request = Judgement();
    change(*request.mutable_job()->mutable_evaluate());
    ExpectRefused(request, reason, "job.evaluate." + field);
  };
  using Spec = v1::EvaluateSpec;
  refused("NO_PHOTOS", "photos", [](Spec& spec) { spec.clear_photos(); });
  refused("PHOTO_NOT_AN_IMAGE", "photos[0].inline",
          [](Spec& spec) { spec.mutable_photos(0)->set_inline_("this is no picture"); });
  refused("BLOB_NOT_FOUND", "photos[0].blob", [](Spec& spec) {
    spec.mutable_photos(0)->set_blob("tenants/default/blobs/" + std::string(64, 'b'));
  });
  refused("INVALID_NAME", "model.name", [](Spec& spec) { spec.clear_model(); });
  refused("INVALID_NAME", "model.name",
          [](Spec& spec) { spec.mutable_model()->set_name("baseModels/mini"); });
  refused("OUT_OF_RANGE", "images_per_prompt", [](Spec& spec) { spec.set_images_per_prompt(65); });
  refused("TOO_MANY_IMAGES", "images_per_prompt", [](Spec& spec) {
    for (int i = 0; i < 64; ++i) spec.add_prompts("a {subject}");
    spec.set_images_per_prompt(5);
  });
  refused("NO_PHOTOS", "gallery", [](Spec& spec) { spec.add_measures(v1::MEASURE_RANK); });
  refused("OUT_OF_RANGE", "photos", [](Spec& spec) { spec.add_measures(v1::MEASURE_MASC); });
  refused("OUT_OF_RANGE", "gallery[0].mask", [](Spec& spec) {
    spec.add_gallery()->set_inline_(PngPhoto());
    spec.mutable_gallery(0)->mutable_mask()->set_inline_(PngPhoto());
  });
  refused("PHOTO_NOT_AN_IMAGE", "gallery[0].inline",
          [](Spec& spec) { spec.add_gallery()->set_inline_("this is no picture"); });
  refused("OUT_OF_RANGE", "measures[0]",
          [](Spec& spec) { spec.add_measures(static_cast<v1::Measure>(99)); });
  refused("OUT_OF_RANGE", "measures",
          [](Spec& spec) { spec.mutable_measures()->Resize(1'000'000, 99); });
  refused("OUT_OF_RANGE", "measures[1]", [](Spec& spec) {
    spec.add_measures(v1::MEASURE_DINO);
    spec.add_measures(v1::MEASURE_DINO);
  });
  refused("OUT_OF_RANGE", "evaluators", [](Spec& spec) {
    for (int i = 0; i < 17; ++i) spec.add_evaluators("x");
  });
  refused("UNKNOWN_SAMPLER", "sampler", [](Spec& spec) { spec.set_sampler("unknown"); });
}

TEST_F(EvaluateTest, JudgeOfAFineTuneIsChecked) {
  OfferModels();
  auto request = DogJob();
  for (const auto measure : {v1::MEASURE_UNSPECIFIED, v1::MEASURE_RANK, v1::MEASURE_MASC}) {
    auto& judge = *request.mutable_job()->mutable_fine_tune()->mutable_judge();
    judge.clear_measures();
    judge.add_measures(measure);
    ExpectRefused(request, "OUT_OF_RANGE", "job.fine_tune.judge.measures[0]");
  }
}

TEST_F(EvaluateTest, WorkerThatJudgesNothingGetsNone) {
  MakeModel();
  ASSERT_TRUE(Create(Judgement()).ok());
  EXPECT_FALSE(WouldGetAJob({"generate"}));
  EXPECT_TRUE(WouldGetAJob({"generate", "evaluate"}));
}

TEST_F(EvaluateTest, WorkerThatLacksAMeasureGetsNone) {
  MakeModel();
  const auto both = OfferOfAnother({v1::MEASURE_DINO, v1::MEASURE_CLIP_T});
  const auto one = worker_.Offer();  // of MEASURE_DINO
  EXPECT_FALSE(WouldGetAJob(both));
  EXPECT_FALSE(WouldGetAJob(one));  // the last that says what it measures
  auto request = Judgement();
  request.mutable_job()->mutable_evaluate()->add_measures(v1::MEASURE_CLIP_T);
  request.mutable_job()->mutable_evaluate()->add_measures(v1::MEASURE_DINO);
  ASSERT_TRUE(Create(request).ok());
  EXPECT_FALSE(WouldGetAJob(one));
  EXPECT_TRUE(WouldGetAJob(both));
}

TEST_F(EvaluateTest, AModelIsJudgedByWhatAnyOfItsWorkersMeasures) {
  OfferModels();  // of MEASURE_DINO
  auto other = OfferOfAnother({v1::MEASURE_CLIP_I});
  other.mutable_base_models(0)->add_evaluators("clip");
  EXPECT_FALSE(WouldGetAJob(other));
  const auto offered = [&] {
    grpc::ClientContext context;
    v1::Capabilities reply;
    EXPECT_TRUE(v1::CapabilitiesService::NewStub(server_.channel())
                    ->GetCapabilities(&context, {}, &reply)
                    .ok());
    return reply.base_models(0);
  };
  for (const auto& last : {other, worker_.Offer(), other}) {
    EXPECT_FALSE(WouldGetAJob(last));
    EXPECT_THAT(offered().measures(), ::testing::ElementsAre(v1::MEASURE_DINO, v1::MEASURE_CLIP_I));
    EXPECT_THAT(offered().evaluators(), ::testing::Contains("clip"));
  }
}

TEST_F(EvaluateTest, AFineTuneWaitsForAWorkerWithItsMeasures) {
  OfferModels();
  const auto other = OfferOfAnother({v1::MEASURE_CLIP_I});
  EXPECT_FALSE(WouldGetAJob(other));
  EXPECT_FALSE(WouldGetAJob(worker_.Offer()));
  auto request = DogJob();
  auto& spec = *request.mutable_job()->mutable_fine_tune();
  spec.mutable_judge()->set_enabled(true);
  spec.mutable_judge()->add_measures(v1::MEASURE_CLIP_I);
  spec.mutable_samples()->add_prompts("a {subject}");
  ASSERT_TRUE(Create(request).ok());
  EXPECT_FALSE(WouldGetAJob(worker_.Offer()));
  EXPECT_TRUE(WouldGetAJob(other));
}

TEST_F(EvaluateTest, TheBestStepTakesAWorkerThatCanComparePicturesWithPrompts) {
  OfferModels();
  const auto other = OfferOfAnother({v1::MEASURE_CLIP_I, v1::MEASURE_CLIP_T});
  EXPECT_FALSE(WouldGetAJob(other));
  EXPECT_FALSE(WouldGetAJob(worker_.Offer()));
  auto request = DogJob();
  auto& training = *request.mutable_job()->mutable_fine_tune()->mutable_training();
  training.set_stop_rule(v1::STOP_RULE_BEST);
  ASSERT_TRUE(Create(request).ok());
  EXPECT_FALSE(WouldGetAJob(worker_.Offer()));
  EXPECT_TRUE(WouldGetAJob(other));
}

TEST_F(EvaluateTest, WhatNobodyMeasuresIsRefused) {
  MakeModel();  // with a worker of MEASURE_DINO
  auto evaluation = Judgement();
  evaluation.mutable_job()->mutable_evaluate()->add_measures(v1::MEASURE_CLIP_T);
  auto best = DogJob();
  best.mutable_job()->mutable_fine_tune()->mutable_training()->set_stop_rule(v1::STOP_RULE_BEST);
  auto judged = DogJob();
  auto& spec = *judged.mutable_job()->mutable_fine_tune();
  spec.mutable_judge()->set_enabled(true);
  spec.mutable_judge()->add_measures(v1::MEASURE_CLIP_T);
  spec.mutable_samples()->add_prompts("a {subject}");
  for (const auto& request : {evaluation, best, judged}) {
    const auto status = Create(request).status();
    EXPECT_EQ(ErrorReason(status), "NO_EVALUATORS");
    EXPECT_THAT(std::string(status.message()), HasSubstr("measures clip_t"));
  }
}

TEST_F(EvaluateTest, JobThatNamesEvaluatorsGoesToAWorkerThatHasThem) {
  MakeModel();
  auto with_clip = worker_.Offer();
  with_clip.set_worker("has-clip");
  with_clip.add_methods("evaluator:clip");  // whether or not it is offered for the model
  ASSERT_FALSE(WouldGetAJob(with_clip));
  auto request = Judgement();
  request.mutable_job()->mutable_evaluate()->add_measures(v1::MEASURE_CLIP_T);
  request.mutable_job()->mutable_evaluate()->add_evaluators("clip");
  ASSERT_TRUE(Create(request).ok());
  EXPECT_FALSE(WouldGetAJob(worker_.Offer()));
  EXPECT_TRUE(WouldGetAJob(with_clip));
}

TEST_F(EvaluateTest, AnEvaluatorThatNoWorkerHasIsRefusedByName) {
  MakeModel();
  auto evaluation = Judgement();
  evaluation.mutable_job()->mutable_evaluate()->add_evaluators("clop");
  auto training = DogJob();
  auto& spec = *training.mutable_job()->mutable_fine_tune();
  spec.mutable_judge()->add_evaluators("clop");
  EXPECT_TRUE(Create(training).ok()) << "nothing is drawn that could be judged";
  spec.mutable_samples()->add_prompts("a {subject}");
  for (auto* request : {&evaluation, &training}) {
    request->set_validate_only(true);
    const auto status = Create(*request).status();
    EXPECT_EQ(ErrorReason(status), "NO_EVALUATORS") << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("has the evaluator \"clop\""));
  }
  EXPECT_EQ(MetadataOf(Create(training).status()).at("field"), "job.fine_tune.judge.evaluators[0]");
  spec.mutable_judge()->set_enabled(false);
  EXPECT_TRUE(Create(training).ok());
}

TEST_F(EvaluateTest, AFineTuneThatIsToBeJudgedWaitsForAWorkerThatJudges) {
  OfferModels();
  auto request = DogJob();
  auto& spec = *request.mutable_job()->mutable_fine_tune();
  spec.mutable_judge()->set_enabled(true);
  spec.mutable_samples()->add_prompts("a {subject}");
  ASSERT_TRUE(Create(request).ok());
  EXPECT_FALSE(WouldGetAJob({"dreambooth", "generate"}));
  EXPECT_TRUE(WouldGetAJob({"dreambooth", "generate", "evaluate"}));
}

}  // namespace
}  // namespace likeness::server
