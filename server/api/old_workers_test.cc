// Jobs with settings that not every worker knows, over a real port.
#include "common/clock.h"
#include "common/spec_revision.h"
#include "server/api/service_fixture.h"
#include "server/api/worker_registry.h"
#include "server/jobs/sqlite/sqlite_job_store.h"

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

TEST(WorkerRegistryTest, WorkerThatIsBusyForLongCountsThoughItDoesNotAsk) {
  likeness::testing::TempFolder folder;
  FakeClock clock;
  SqliteJobStoreOptions options;
  options.path = folder.path() + "/jobs.sqlite";
  options.lease.duration = absl::Hours(10);
  const auto jobs = *SqliteJobStore::Open(options, clock);
  WorkerRegistry registry(*jobs, options.lease.duration);
  NewJob job;
  job.job.set_name("tenants/default/jobs/rex");
  job.job.set_max_attempts(1);
  job.job.mutable_fine_tune()->set_base_model("baseModels/mini");
  job.job.set_output_model("tenants/default/models/rex");
  ASSERT_TRUE(jobs->Create(job).ok());

  v1::AcquireLeaseRequest offer;
  offer.add_base_models()->set_name("baseModels/mini");
  offer.add_methods("dreambooth");
  offer.set_worker("new");
  offer.set_spec_revision(kSpecRevision);
  registry.Asked(offer, clock.Now());
  const auto lease = jobs->Acquire(offer);
  ASSERT_TRUE(lease.ok() && *lease) << lease.status();
  clock.Advance(absl::Hours(1));
  offer.set_worker("old");
  offer.set_spec_revision(0);
  registry.Asked(offer, clock.Now());
  EXPECT_EQ(registry.NewestSpecRevision(clock.Now()), kSpecRevision);

  WorkerRegistry after_a_restart(*jobs, options.lease.duration);
  after_a_restart.Asked(offer, clock.Now());
  EXPECT_EQ(after_a_restart.NewestSpecRevision(clock.Now()), std::nullopt);

  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token((*lease)->lease_token());
  ASSERT_TRUE(jobs->Complete(outcome).ok());
  EXPECT_EQ(registry.NewestSpecRevision(clock.Now()), 0);
}

}  // namespace
}  // namespace likeness::server
