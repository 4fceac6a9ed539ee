// OperatorService over a real port.
#include <thread>

#include "absl/time/clock.h"
#include "likeness/v1/operator_service.grpc.pb.h"
#include "server/api/service_fixture.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

using ::testing::ElementsAre;

class OperatorServiceTest : public ServiceTest {
 protected:
  // The reply of a call of the service.
  template <typename Request, typename Reply>
  absl::StatusOr<Reply> Call(grpc::Status (v1::OperatorService::Stub::*method)(grpc::ClientContext*,
                                                                               const Request&,
                                                                               Reply*),
                             const Request& request) {
    grpc::ClientContext context;
    Reply reply;
    const auto status = FromGrpcStatus((operators_.get()->*method)(&context, request, &reply));
    if (!status.ok()) return status;
    return reply;
  }

  v1::ListWorkersResponse Workers() {
    return Call(&v1::OperatorService::Stub::ListWorkers, v1::ListWorkersRequest()).value();
  }

  absl::Status Drain(const std::string& worker, bool release_job = false) {
    v1::DrainWorkerRequest request;
    request.set_name(worker);
    request.set_release_job(release_job);
    return Call(&v1::OperatorService::Stub::DrainWorker, request).status();
  }

  absl::Status Undrain(const std::string& worker) {
    v1::UndrainWorkerRequest request;
    request.set_name(worker);
    return Call(&v1::OperatorService::Stub::UndrainWorker, request).status();
  }

  v1::GetUsageResponse Usage() {
    return Call(&v1::OperatorService::Stub::GetUsage, v1::GetUsageRequest()).value();
  }

  std::unique_ptr<v1::OperatorService::Stub> operators_ =
      v1::OperatorService::NewStub(server_.channel());
  FakeWorker bob_{server_.channel(), "bob"};
};

TEST_F(OperatorServiceTest, WorkersAreListedWithWhatTheyRun) {
  ASSERT_TRUE(absl::IsNotFound(bob_.Acquire(absl::ZeroDuration()).status()));
  auto workers = Workers();
  ASSERT_EQ(workers.workers_size(), 1);
  EXPECT_EQ(workers.workers(0).name(), "workers/bob");
  EXPECT_EQ(workers.workers(0).state(), v1::WORKER_STATE_IDLE);
  EXPECT_EQ(workers.workers(0).device(), "cpu");
  EXPECT_TRUE(workers.workers(0).has_last_poll_time());
  EXPECT_THAT(workers.workers(0).base_models(), ElementsAre("baseModels/mini"));

  const auto job = Create(PictureJob());
  ASSERT_TRUE(job.ok()) << job.status();
  const auto lease = bob_.Acquire();
  ASSERT_TRUE(lease.ok()) << lease.status();
  workers = Workers();
  EXPECT_EQ(workers.workers(0).state(), v1::WORKER_STATE_RUNNING);
  EXPECT_THAT(workers.workers(0).jobs(), ElementsAre(job->name()));
}

TEST_F(OperatorServiceTest, AHeartbeatCountsAsSeen) {
  OfferModels();
  ASSERT_TRUE(Create(PictureJob()).ok());
  const auto lease = bob_.Acquire();
  ASSERT_TRUE(lease.ok()) << lease.status();
  const auto seen = [&] {
    const auto listed = Workers();
    for (const v1::Worker& worker : listed.workers()) {
      if (worker.name() == "workers/bob") return FromProto(worker.last_poll_time());
    }
    return absl::InfinitePast();
  };
  const absl::Time asked = seen();
  ASSERT_TRUE(bob_.Report(lease->lease_token(), 1).ok());
  EXPECT_GT(seen(), asked);
}

TEST_F(OperatorServiceTest, DrainedWorkerFinishesItsJobAndGetsNoOther) {
  OfferModels();
  ASSERT_TRUE(Create(PictureJob()).ok());
  const auto lease = bob_.Acquire();
  ASSERT_TRUE(lease.ok()) << lease.status();
  ASSERT_TRUE(Drain("workers/bob").ok());
  EXPECT_EQ(Workers().workers(0).state(), v1::WORKER_STATE_DRAINING);
  EXPECT_FALSE(bob_.Report(lease->lease_token(), 1)->release_requested());
  ASSERT_TRUE(bob_.Complete(lease->lease_token()).ok());

  ASSERT_TRUE(Create(PictureJob()).ok());
  EXPECT_TRUE(absl::IsNotFound(bob_.Acquire(absl::Milliseconds(50)).status()));
  EXPECT_EQ(Workers().workers(0).state(), v1::WORKER_STATE_DRAINED);
  EXPECT_TRUE(worker_.Acquire().ok()) << "another worker gets it";

  ASSERT_TRUE(Create(PictureJob()).ok());
  ASSERT_TRUE(Undrain("workers/bob").ok());
  EXPECT_TRUE(bob_.Acquire().ok());
}

TEST_F(OperatorServiceTest, DrainedWorkerIsListedThoughItIsAway) {
  ASSERT_TRUE(Drain("workers/carol").ok());
  const auto workers = Workers();
  ASSERT_EQ(workers.workers_size(), 1);
  EXPECT_EQ(workers.workers(0).name(), "workers/carol");
  EXPECT_EQ(workers.workers(0).state(), v1::WORKER_STATE_DRAINED);
  EXPECT_FALSE(workers.workers(0).has_last_poll_time());
  ASSERT_TRUE(Undrain("workers/carol").ok());
  EXPECT_EQ(Workers().workers_size(), 0);
}

TEST_F(OperatorServiceTest, WorkerThatIsDrainedWhileItWaitsLeavesTheJobToAnother) {
  OfferModels();
  absl::Status waited;
  std::thread waiting([&] { waited = bob_.Acquire(absl::Seconds(20)).status(); });
  while (Workers().workers_size() < 2) absl::SleepFor(absl::Milliseconds(5));
  ASSERT_TRUE(Drain("workers/bob").ok());
  FakeWorker carol(server_.channel(), "carol");
  absl::StatusOr<v1::Lease> lease;
  std::thread other([&] { lease = carol.Acquire(absl::Seconds(20)); });
  while (Workers().workers_size() < 3) absl::SleepFor(absl::Milliseconds(5));
  ASSERT_TRUE(Create(PictureJob()).ok());
  other.join();
  waiting.join();
  EXPECT_TRUE(lease.ok()) << lease.status();
  EXPECT_TRUE(absl::IsNotFound(waited)) << waited;
}

TEST_F(OperatorServiceTest, WorkerIsAskedToGiveItsJobBack) {
  OfferModels();
  ASSERT_TRUE(Create(PictureJob()).ok());
  const auto lease = bob_.Acquire();
  ASSERT_TRUE(lease.ok()) << lease.status();
  ASSERT_TRUE(Drain("workers/bob", /*release_job=*/true).ok());
  EXPECT_TRUE(bob_.Report(lease->lease_token(), 1)->release_requested());
  ASSERT_TRUE(bob_.Release(lease->lease_token(), v1::RELEASE_REASON_PREEMPTED).ok());
  EXPECT_TRUE(worker_.Acquire().ok());
}

TEST_F(OperatorServiceTest, WhatIsNoWorkersNameIsRefused) {
  for (const char* name : {"", "bob", "workers/", "workers/a b", "workers/a/b"}) {
    EXPECT_EQ(ErrorReason(Drain(name)), "INVALID_NAME") << name;
    EXPECT_EQ(ErrorReason(Undrain(name)), "INVALID_NAME") << name;
  }
}

TEST_F(OperatorServiceTest, QueueIsToldByTenantMethodAndBaseModel) {
  OfferModels();
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Create(DogJob()).ok());
  auto later = PictureJob();
  later.mutable_job()->mutable_schedule_time()->set_seconds(
      absl::ToUnixSeconds(absl::Now() + absl::Hours(1)));
  ASSERT_TRUE(Create(later).ok());
  const auto queue = Call(&v1::OperatorService::Stub::GetQueue, v1::GetQueueRequest()).value();
  EXPECT_EQ(queue.waiting_jobs(), 3);
  ASSERT_EQ(queue.groups_size(), 2);
  EXPECT_EQ(queue.groups(0).tenant(), "tenants/default");
  EXPECT_EQ(queue.groups(0).method(), "dreambooth");
  EXPECT_EQ(queue.groups(0).base_model(), "baseModels/mini");
  EXPECT_EQ(queue.groups(0).waiting_jobs(), 2);
  EXPECT_TRUE(queue.groups(0).has_oldest_wait());
  EXPECT_EQ(queue.groups(1).method(), "generate");
  EXPECT_EQ(queue.groups(1).scheduled_jobs(), 1);
  EXPECT_FALSE(queue.groups(1).has_oldest_wait());
}

TEST_F(OperatorServiceTest, UsageTellsJobsAndWorkersTimeOfToday) {
  OfferModels();
  EXPECT_EQ(Usage().days_size(), 0);
  ASSERT_TRUE(Create(PictureJob()).ok());
  ASSERT_TRUE(worker_.Complete(worker_.Acquire()->lease_token()).ok());
  const auto cancelled = Create(PictureJob());
  ASSERT_TRUE(Cancel(cancelled->name()).ok());
  const auto usage = Usage();
  ASSERT_EQ(usage.days_size(), 1);
  EXPECT_EQ(usage.days(0).ended_jobs(), 2);
  EXPECT_EQ(usage.days(0).day().seconds() % (24 * 60 * 60), 0);
  EXPECT_GT(usage.days(0).worker_duration().seconds() + usage.days(0).worker_duration().nanos(), 0);
  v1::GetUsageRequest request;
  for (const int days : {-1, 63}) {
    request.set_days(days);
    EXPECT_EQ(ErrorReason(Call(&v1::OperatorService::Stub::GetUsage, request).status()),
              "OUT_OF_RANGE");
  }
}

}  // namespace
}  // namespace likeness::server
