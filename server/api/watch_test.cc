// WatchJob over a real port.
#include <atomic>
#include <thread>

#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

using WatchTest = ServiceTest;

TEST_F(WatchTest, WatchShowsEveryStateUntilTheEnd) {
  OfferModels();
  const auto job = Create(PictureJob());
  std::thread work([this] {
    const auto lease = worker_.Acquire();
    ASSERT_TRUE(lease.ok());
    ASSERT_TRUE(worker_.Report(lease->lease_token(), 1).ok());
    ASSERT_TRUE(worker_.Complete(lease->lease_token()).ok());
  });
  const auto [events, status] = Watch(job->name());
  work.join();
  EXPECT_TRUE(status.ok()) << status;
  ASSERT_FALSE(events.empty());
  EXPECT_TRUE(events.front().has_snapshot());
  EXPECT_EQ(events.back().state_change().job().state(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(WatchTest, ResumedWatchMissesNothing) {
  OfferModels();
  const auto job = Create(PictureJob());
  const auto lease = worker_.Acquire();
  const auto at_running = TokenOfSnapshot(job->name());
  ASSERT_TRUE(worker_.Report(lease->lease_token(), 5).ok());
  ASSERT_TRUE(worker_.Complete(lease->lease_token()).ok());
  const auto [events, status] = Watch(job->name(), at_running);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].progress().done(), 5);
  EXPECT_EQ(events[1].state_change().to(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_THAT(Watch(job->name(), events[1].resume_token()).first, ::testing::IsEmpty());
  EXPECT_TRUE(Watch(job->name(), kSkipSnapshot).second.ok());
}

TEST_F(WatchTest, WatchGoesOnOverARetry) {
  OfferModels();
  const auto job = Create(PictureJob());
  const auto at_creation = TokenOfSnapshot(job->name());
  ASSERT_TRUE(Cancel(job->name()).ok());
  const auto at_first_end = Watch(job->name()).first.back().resume_token();
  grpc::ClientContext context;
  v1::RetryJobRequest retry;
  retry.set_name(job->name());
  v1::Job retried;
  ASSERT_TRUE(jobs_->RetryJob(&context, retry, &retried).ok());
  EXPECT_EQ(retried.state(), v1::JOB_STATE_PENDING);
  const auto lease = worker_.Acquire();
  ASSERT_TRUE(worker_.Complete(lease->lease_token()).ok());

  for (const auto& [token, states] : {std::pair(at_creation, 4u), std::pair(at_first_end, 3u)}) {
    const auto [events, status] = Watch(job->name(), token);
    EXPECT_TRUE(status.ok()) << status;
    ASSERT_EQ(events.size(), states);
    EXPECT_EQ(events.back().state_change().to(), v1::JOB_STATE_SUCCEEDED);
  }
}

TEST_F(WatchTest, TokenAndNoSnapshotAreNotAskedForTogether) {
  OfferModels();
  const auto job = Create(PictureJob());
  grpc::ClientContext context;
  v1::WatchJobRequest request;
  request.set_name(job->name());
  request.set_resume_token(TokenOfSnapshot(job->name()));
  request.set_skip_snapshot(true);
  auto stream = jobs_->WatchJob(&context, request);
  v1::JobEvent event;
  EXPECT_FALSE(stream->Read(&event));
  EXPECT_EQ(ErrorReason(FromGrpcStatus(stream->Finish())), "RESUME_TOKEN_CONFLICT");
}

TEST_F(WatchTest, WatchTokenOfAnotherJobOrNobodyIsRefused) {
  OfferModels();
  const auto one = Create(PictureJob());
  const auto two = Create(PictureJob());
  ASSERT_TRUE(Cancel(one->name()).ok());
  const auto token = Watch(one->name()).first.back().resume_token();
  EXPECT_EQ(ErrorReason(Watch(two->name(), token).second), "RESUME_TOKEN_INVALID");
  EXPECT_EQ(ErrorReason(Watch(two->name(), "Zm9yZ2Vk").second), "RESUME_TOKEN_INVALID");
  EXPECT_EQ(ErrorReason(Watch(two->name(), "%%%").second), "RESUME_TOKEN_INVALID");
}

TEST_F(WatchTest, WatchFromNowBeginsWithWhatHappensNext) {
  OfferModels();
  const auto job = Create(PictureJob());
  const auto lease = worker_.Acquire();
  grpc::ClientContext context;
  auto stream = OpenWatch(context, job->name(), kSkipSnapshot);
  // Nothing tells that the watch has begun, so steps are reported until it shows one.
  std::atomic<bool> seen = false;
  std::thread work([&] {
    for (int step = 1; !seen; ++step) {
      ASSERT_TRUE(worker_.Report(lease->lease_token(), step).ok());
    }
    ASSERT_TRUE(worker_.Complete(lease->lease_token()).ok());
  });
  v1::JobEvent event;
  EXPECT_TRUE(stream->Read(&event));
  EXPECT_TRUE(event.has_progress())
      << "no snapshot, and nothing of before: " << event.DebugString();
  seen = true;
  while (stream->Read(&event)) {
  }
  work.join();
  EXPECT_EQ(event.state_change().to(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(WatchTest, SlowReaderGetsOldProgressCoalescedAndMissesNothingElse) {
  constexpr int kSamples = 160;    // 10 MiB: far more than the network holds
  constexpr int kReports = 1'000;  // while the reader is stuck
  OfferModels();
  const auto job = Create(PictureJob());
  const auto lease = worker_.Acquire();
  grpc::ClientContext context;
  auto stream = OpenWatch(context, job->name());
  v1::JobEvent event;
  ASSERT_TRUE(stream->Read(&event));
  for (int sent = 0; sent < kSamples; sent += 16) {
    v1::HeartbeatRequest news;
    news.set_lease_token(lease->lease_token());
    news.set_sequence(sent + 1);
    for (int i = 0; i < 16; ++i) {
      auto* sample = news.add_samples();
      sample->set_step(sent + i);
      sample->set_preview(std::string(64 << 10, 'x'));
    }
    ASSERT_TRUE(worker_.Heartbeat(news).ok());
  }
  for (int step = 1; step <= kReports; ++step) {
    ASSERT_TRUE(worker_.Report(lease->lease_token(), step).ok());
  }
  ASSERT_TRUE(worker_.Complete(lease->lease_token()).ok());

  int samples = 0;
  int reports = 0;
  int64_t last_step = 0;
  while (stream->Read(&event)) {
    if (event.has_sample()) {
      EXPECT_EQ(event.sample().step(), samples++);
    }
    if (event.has_progress()) {
      ++reports;
      EXPECT_GT(event.progress().done(), last_step);
      last_step = event.progress().done();
    }
  }
  EXPECT_EQ(samples, kSamples);
  EXPECT_EQ(last_step, kReports) << "the newest is never left out";
  EXPECT_LT(reports, kReports / 10);
  EXPECT_EQ(event.state_change().to(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_TRUE(stream->Finish().ok());
}

}  // namespace
}  // namespace likeness::server
