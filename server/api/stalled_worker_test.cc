// A worker whose heart beats while its work stands still, over a real port.
#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

class StalledWorkerTest : public ServiceTest {
 protected:
  StalledWorkerTest()
      : ServiceTest([](ServerOptions& options) {
          options.stall_timeout = absl::Seconds(1);
          options.retry_delay = absl::ZeroDuration();
        }) {
    OfferModels();
  }

  // Heartbeats with the same progress until the server ends the attempt; why it did.
  std::string BeatUntilRefused(const std::string& token) {
    for (;;) {
      const auto beat = worker_.Report(token, 1);
      if (!beat.ok()) return ErrorReason(beat.status());
    }
  }
};

TEST_F(StalledWorkerTest, LosesItsLeaseAndTheJobIsTriedAgainUntilNoAttemptsAreLeft) {
  auto request = PictureJob();
  request.mutable_job()->set_max_attempts(2);
  const std::string name = Create(request)->name();
  for (int attempt = 1; attempt <= 2; ++attempt) {
    const auto lease = worker_.Acquire();
    ASSERT_TRUE(lease.ok()) << lease.status();
    EXPECT_EQ(lease->job().attempt(), attempt);
    EXPECT_EQ(BeatUntilRefused(lease->lease_token()), "LEASE_LOST");
    EXPECT_EQ(ErrorReason(worker_.Complete(lease->lease_token())), "LEASE_LOST");
  }
  const auto job = Get(name);
  EXPECT_EQ(job->state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(ErrorReason(FromRpcStatus(job->error())), "WORKER_STALLED");
}

TEST_F(StalledWorkerTest, JobMayAllowItsAttemptsMoreTimeThanTheServer) {
  auto request = PictureJob();
  request.mutable_job()->mutable_stall_timeout()->set_seconds(3600);
  Create(request);
  const std::string patient = worker_.Acquire()->lease_token();
  request.mutable_job()->clear_stall_timeout();
  request.mutable_job()->set_max_attempts(1);
  const std::string name = Create(request)->name();
  const std::string other = worker_.Acquire()->lease_token();
  EXPECT_TRUE(worker_.Report(patient, 1).ok());
  EXPECT_EQ(BeatUntilRefused(other), "LEASE_LOST");
  EXPECT_TRUE(worker_.Report(patient, 1).ok()) << "it has been silent for longer";
  EXPECT_EQ(Get(name)->state(), v1::JOB_STATE_FAILED);
}

TEST_F(StalledWorkerTest, AJobThatWasAskedToStopIsCancelled) {
  const std::string name = Create(PictureJob())->name();
  const auto lease = worker_.Acquire();
  ASSERT_TRUE(Cancel(name).ok());
  EXPECT_EQ(BeatUntilRefused(lease->lease_token()), "LEASE_LOST");
  EXPECT_EQ(Get(name)->state(), v1::JOB_STATE_CANCELLED);
}

}  // namespace
}  // namespace likeness::server
