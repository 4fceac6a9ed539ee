// An eta whose sampler is left to the base model, over a real port.
#include "common/job_spec.h"
#include "likeness/v1/worker_service.grpc.pb.h"
#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

class EtaTest : public ServiceTest {
 protected:
  // The samplers that the base model recommends for drawing, and for samples of a fine-tune.
  void Offer(const std::string& drawing, const std::string& samples) {
    auto offer = worker_.Offer();
    auto& base = *offer.mutable_base_models(0);
    base.mutable_generate_defaults()->set_sampler(drawing);
    base.mutable_fine_tune_defaults()->mutable_dreambooth();
    base.mutable_fine_tune_defaults()->mutable_samples()->set_sampler(samples);
    grpc::ClientContext context;
    v1::AcquireLeaseResponse reply;
    EXPECT_TRUE(
        v1::WorkerService::NewStub(server_.channel())->AcquireLease(&context, offer, &reply).ok());
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

}  // namespace
}  // namespace likeness::server
