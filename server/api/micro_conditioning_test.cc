// Sizes and crops for models that are not told of any, over a real port.
#include "common/job_spec.h"
#include "common/spec_revision.h"
#include "likeness/v1/worker_service.grpc.pb.h"
#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

class MicroConditioningTest : public ServiceTest {
 protected:
  enum class Offer { kNoDefaults, kWithout, kWith };

  void Poll(Offer kind, int revision = kSpecRevision) {
    auto offer = worker_.Offer();
    offer.set_spec_revision(revision);
    if (kind != Offer::kNoDefaults) {
      auto& defaults = *offer.mutable_base_models(0)->mutable_fine_tune_defaults();
      defaults.mutable_dreambooth();
      defaults.mutable_training()->set_steps(100);
      if (kind == Offer::kWith) defaults.mutable_training()->set_micro_conditioning(false);
    }
    grpc::ClientContext context;
    v1::AcquireLeaseResponse reply;
    EXPECT_TRUE(
        v1::WorkerService::NewStub(server_.channel())->AcquireLease(&context, offer, &reply).ok());
  }

  static v1::CreateJobRequest Training() {
    auto request = DogJob();
    request.mutable_job()->mutable_fine_tune()->mutable_training()->set_micro_conditioning(true);
    return request;
  }

  static v1::CreateJobRequest Drawing() {
    auto request = PictureJob();
    request.mutable_job()->mutable_generate()->mutable_micro_conditioning()->set_crop_top(8);
    return request;
  }
};

TEST_F(MicroConditioningTest, IsRefusedOfABaseModelThatIsOfferedWithoutIt) {
  Poll(Offer::kWithout);
  ExpectRefused(Training(), "OUT_OF_RANGE", "job.fine_tune.training.micro_conditioning");
  ExpectRefused(Drawing(), "OUT_OF_RANGE", "job.generate.micro_conditioning");
  auto off = Training();
  off.mutable_job()->mutable_fine_tune()->mutable_training()->set_micro_conditioning(false);
  EXPECT_TRUE(Create(off).ok());
}

TEST_F(MicroConditioningTest, IsRefusedOfAModelThatWasMadeFromOne) {
  OfferModels();
  auto training = DogJob();
  training.set_job_id("rex");
  Train(training);
  Poll(Offer::kWithout);
  auto drawing = Drawing();
  drawing.mutable_job()->mutable_generate()->mutable_model()->set_name(
      "tenants/default/models/rex");
  ExpectRefused(drawing, "OUT_OF_RANGE", "job.generate.micro_conditioning");
}

TEST_F(MicroConditioningTest, IsTakenWhereTheBaseModelHasItOrItsOfferDoesNotSay) {
  Poll(Offer::kWith);
  EXPECT_TRUE(Create(Training()).ok()) << Create(Training()).status();
  EXPECT_TRUE(Create(Drawing()).ok()) << Create(Drawing()).status();
  Poll(Offer::kNoDefaults);
  EXPECT_TRUE(Create(Training()).ok()) << Create(Training()).status();
}

TEST_F(MicroConditioningTest, IsTakenWhereOnlyOlderWorkersAsked) {
  Poll(Offer::kWithout, 3);
  EXPECT_TRUE(Create(Training()).ok()) << Create(Training()).status();
  EXPECT_TRUE(Create(Drawing()).ok()) << Create(Drawing()).status();
}

}  // namespace
}  // namespace likeness::server
