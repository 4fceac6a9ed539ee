// An eta whose sampler is left to the base model, over a real port.
#include "common/job_spec.h"
#include "likeness/v1/worker_service.grpc.pb.h"
#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

class EtaTest : public ServiceTest {
 protected:
  // The samplers that the base model recommends for drawing, and for samples and class images of a
  // fine-tune.
  void Offer(const std::string& drawing, const std::string& samples,
             const std::string& prior = "plms") {
    auto offer = worker_.Offer();
    auto& base = *offer.mutable_base_models(0);
    base.mutable_generate_defaults()->set_sampler(drawing);
    base.mutable_fine_tune_defaults()->mutable_dreambooth();
    base.mutable_fine_tune_defaults()->mutable_samples()->set_sampler(samples);
    base.mutable_fine_tune_defaults()->mutable_prior()->set_sampler(prior);
    grpc::ClientContext context;
    v1::AcquireLeaseResponse reply;
    EXPECT_TRUE(
        v1::WorkerService::NewStub(server_.channel())->AcquireLease(&context, offer, &reply).ok());
  }

  static v1::CreateJobRequest TrainingWithPriorEta() {
    auto request = DogJob();
    request.mutable_job()->mutable_fine_tune()->mutable_prior()->set_eta(0.5);
    return request;
  }

  // Of an adapter, which draws with its base model.
  v1::CreateJobRequest JudgementWithEta() {
    OfferModels();
    auto training = DogJob();
    training.set_job_id("rex");
    training.mutable_job()->mutable_fine_tune()->mutable_lora();
    Train(training);
    v1::CreateJobRequest request;
    v1::EvaluateSpec& spec = *request.mutable_job()->mutable_evaluate();
    spec.mutable_model()->set_name("tenants/default/models/rex");
    spec.add_photos()->set_inline_(PngPhoto());
    spec.set_eta(0.5);
    return request;
  }
};

TEST_F(EtaTest, EtaIsRefusedWhereTheBaseModelsSamplerHasNone) {
  Offer("plms", "euler");
  auto drawing = PictureJob();
  drawing.mutable_job()->mutable_generate()->set_eta(0.5);
  ExpectRefused(drawing, "OUT_OF_RANGE", "job.generate.eta");
  drawing.mutable_job()->mutable_generate()->set_sampler("ddim");
  EXPECT_TRUE(Create(drawing).ok());
  auto training = DogJob();
  training.mutable_job()->mutable_fine_tune()->mutable_samples()->set_eta(0.5);
  ExpectRefused(training, "OUT_OF_RANGE", "job.fine_tune.samples.eta");
}

TEST_F(EtaTest, EtaIsTakenWhereTheBaseModelsSamplerHasIt) {
  Offer("ddim", "ddim");
  auto drawing = PictureJob();
  drawing.mutable_job()->mutable_generate()->set_eta(0.5);
  EXPECT_TRUE(Create(drawing).ok()) << Create(drawing).status();
  auto training = DogJob();
  training.mutable_job()->mutable_fine_tune()->mutable_samples()->set_eta(0.5);
  EXPECT_TRUE(Create(training).ok()) << Create(training).status();
}

TEST_F(EtaTest, EtaOfClassImagesIsRefusedWhereTheirSamplerHasNone) {
  Offer("ddim", "ddim", "plms");
  ExpectRefused(TrainingWithPriorEta(), "OUT_OF_RANGE", "job.fine_tune.prior.eta");
}

TEST_F(EtaTest, EtaOfClassImagesIsTakenWhereTheirSamplerHasIt) {
  Offer("plms", "plms", "ddim");
  const auto job = Create(TrainingWithPriorEta());
  EXPECT_TRUE(job.ok()) << job.status();
}

TEST_F(EtaTest, EtaOfAJudgementIsRefusedWhereTheSamplerForDrawingHasNone) {
  const auto judgement = JudgementWithEta();
  Offer("plms", "ddim", "ddim");
  ExpectRefused(judgement, "OUT_OF_RANGE", "job.evaluate.eta");
}

TEST_F(EtaTest, EtaOfAJudgementIsTakenWhereTheSamplerForDrawingHasIt) {
  const auto judgement = JudgementWithEta();
  Offer("ddim", "plms", "plms");
  const auto job = Create(judgement);
  EXPECT_TRUE(job.ok()) << job.status();
}

}  // namespace
}  // namespace likeness::server
