// Jobs with settings that not every worker knows, over a real port.
#include "common/spec_revision.h"
#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class OldWorkersTest : public ServiceTest {
 protected:
  // What a worker gets that knows this revision.
  std::string Polled(int revision) {
    auto offer = worker_.Offer();
    offer.set_worker("of-revision-" + std::to_string(revision));
    offer.set_spec_revision(revision);
    grpc::ClientContext context;
    v1::AcquireLeaseResponse reply;
    const auto workers = v1::WorkerService::NewStub(server_.channel());
    EXPECT_TRUE(workers->AcquireLease(&context, offer, &reply).ok());
    return reply.lease().job().name();
  }

  static v1::CreateJobRequest NewJob(const std::string& id) {
    auto request = DogJob();
    request.set_job_id(id);
    auto& training = *request.mutable_job()->mutable_fine_tune()->mutable_training();
    training.set_optimizer(v1::OPTIMIZER_ADAMW);
    return request;
  }
};

TEST_F(OldWorkersTest, JobOfNewSettingsIsNotLeasedToThem) {
  Polled(0);
  ASSERT_TRUE(Create(NewJob("new")).ok());
  auto plain = DogJob();
  plain.set_job_id("plain");
  ASSERT_TRUE(Create(plain).ok());
  EXPECT_EQ(Polled(0), "tenants/default/jobs/plain") << "though it came later";
  EXPECT_EQ(Polled(0), "");
  EXPECT_EQ(Polled(kSpecRevision), "tenants/default/jobs/new");
}

TEST_F(OldWorkersTest, JobThatOnlyTheyCouldTakeIsToldSo) {
  const auto says_so = Contains(HasSubstr("waits for a worker of a newer version"));
  Polled(0);
  EXPECT_THAT(Create(NewJob("waits"))->warnings(), says_so);
  EXPECT_THAT(Create(DogJob())->warnings(), Not(says_so));
  Polled(kSpecRevision);
  EXPECT_THAT(Create(NewJob("runs"))->warnings(), Not(says_so));
}

}  // namespace
}  // namespace likeness::server
