#include "worker/wire/lease_keeper.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/rpc_error.h"

namespace likeness {
namespace {

// Answers heartbeats as the test says, and remembers them.
class ScriptedServer : public v1::WorkerService::Service {
 public:
  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override {
    absl::MutexLock lock(&mutex_);
    heard_.push_back(*request);
    response->set_cancel_requested(cancel_);
    return answer_;
  }

  void Answer(grpc::Status status) {
    absl::MutexLock lock(&mutex_);
    answer_ = std::move(status);
  }
  void Cancel() {
    absl::MutexLock lock(&mutex_);
    cancel_ = true;
  }
  std::vector<v1::HeartbeatRequest> heard() {
    absl::MutexLock lock(&mutex_);
    return heard_;
  }
  void AwaitHeartbeats(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [&] { return heard_.size() >= count; };
    mutex_.Await(absl::Condition(&enough));
  }

 private:
  absl::Mutex mutex_;
  std::vector<v1::HeartbeatRequest> heard_;
  grpc::Status answer_;
  bool cancel_ = false;
};

class LeaseKeeperTest : public testing::Test {
 protected:
  LeaseKeeperTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::WorkerService::NewStub(server_->InProcessChannel({}));
    lease_.set_lease_token("token-1");
    lease_.mutable_duration()->set_nanos(300'000'000);
  }

  static v1::Progress Step(int64_t step) {
    v1::Progress progress;
    progress.set_phase(v1::JOB_PHASE_TRAINING);
    progress.set_done(step);
    progress.add_phases(v1::JOB_PHASE_TRAINING);
    return progress;
  }

  ScriptedServer service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  v1::Lease lease_;
};

TEST_F(LeaseKeeperTest, RenewsWithoutNews) {
  const LeaseKeeper keeper(*stub_, lease_);
  service_.AwaitHeartbeats(3);
  EXPECT_EQ(service_.heard()[0].lease_token(), "token-1");
  EXPECT_FALSE(keeper.lost());
}

TEST_F(LeaseKeeperTest, SendsTheLatestProgressAndEveryWarning) {
  LeaseKeeper keeper(*stub_, lease_);
  for (int step = 1; step <= 100; ++step) keeper.Report(Step(step));
  keeper.Warn("one");
  keeper.Warn("two");
  ASSERT_TRUE(keeper.Flush(absl::Seconds(10)));
  std::vector<std::string> warnings;
  int64_t last_step = 0;
  for (const auto& beat : service_.heard()) {
    warnings.insert(warnings.end(), beat.warnings().begin(), beat.warnings().end());
    if (beat.has_progress()) last_step = beat.progress().done();
  }
  EXPECT_THAT(warnings, testing::ElementsAre("one", "two"));
  EXPECT_EQ(last_step, 100);
}

TEST_F(LeaseKeeperTest, KeepsNewsWhileTheServerIsAway) {
  service_.Answer({grpc::StatusCode::UNAVAILABLE, "restarting"});
  LeaseKeeper keeper(*stub_, lease_);
  keeper.Warn("kept");
  keeper.Report(Step(1));
  service_.AwaitHeartbeats(3);
  EXPECT_FALSE(keeper.lost());
  keeper.Report(Step(2));
  service_.Answer(grpc::Status::OK);
  ASSERT_TRUE(keeper.Flush(absl::Seconds(10)));
  const auto heard = service_.heard();
  EXPECT_THAT(heard.back().warnings(), testing::IsEmpty());
  EXPECT_EQ(heard.back().progress().done(), 2);
  EXPECT_THAT(heard.back().progress().phases(), testing::ElementsAre(v1::JOB_PHASE_TRAINING));
  int kept = 0;
  for (const auto& beat : heard) {
    if (beat.warnings().empty()) continue;
    ++kept;
    EXPECT_THAT(beat.warnings(), testing::ElementsAre("kept"));
  }
  EXPECT_GE(kept, 1);
}

TEST_F(LeaseKeeperTest, HeartbeatThatIsRepeatedIsTheSame) {
  service_.Answer({grpc::StatusCode::UNAVAILABLE, "the answer is lost"});
  LeaseKeeper keeper(*stub_, lease_);
  keeper.Log(v1::LOG_SEVERITY_INFO, "one");
  service_.AwaitHeartbeats(1);
  keeper.Log(v1::LOG_SEVERITY_INFO, "two");
  service_.AwaitHeartbeats(3);
  const auto heard = service_.heard();
  EXPECT_EQ(heard[1].SerializeAsString(), heard[2].SerializeAsString());
  service_.Answer(grpc::Status::OK);
  ASSERT_TRUE(keeper.Flush(absl::Seconds(10)));
  EXPECT_THAT(service_.heard().back().log_lines(0).text(), "two");
}

TEST_F(LeaseKeeperTest, OfLivePreviewsThatWaitTheNewestIsSent) {
  service_.Answer({grpc::StatusCode::UNAVAILABLE, "the answer is lost"});
  LeaseKeeper keeper(*stub_, lease_);
  keeper.Log(v1::LOG_SEVERITY_INFO, "one");
  service_.AwaitHeartbeats(1);  // it is repeated until it is answered; what comes now waits
  const auto sample = [](int64_t step, bool kept) {
    v1::SampleEvent event;
    event.set_step(step);
    if (kept) event.mutable_output()->set_path("previews/0.png");
    return event;
  };
  keeper.Sample(sample(1, /*kept=*/false));
  keeper.Sample(sample(2, /*kept=*/true));
  keeper.Sample(sample(3, /*kept=*/false));
  service_.Answer(grpc::Status::OK);
  ASSERT_TRUE(keeper.Flush(absl::Seconds(10)));
  const auto last = service_.heard().back();
  ASSERT_EQ(last.samples_size(), 2);
  EXPECT_EQ(last.samples(0).step(), 3);
  EXPECT_EQ(last.samples(1).step(), 2);
}

TEST_F(LeaseKeeperTest, NameOfAFileThatIsNoTextKeepsNoNewsBack) {
  LeaseKeeper keeper(*stub_, lease_);
  keeper.Warn("caf\xE9.png is small");
  keeper.Log(v1::LOG_SEVERITY_INFO, "reading caf\xE9.png");
  ASSERT_TRUE(keeper.Flush(absl::Seconds(10)));
  std::vector<std::string> texts;
  for (const auto& beat : service_.heard()) {
    texts.insert(texts.end(), beat.warnings().begin(), beat.warnings().end());
    for (const auto& line : beat.log_lines()) texts.push_back(line.text());
  }
  EXPECT_THAT(texts, testing::UnorderedElementsAre("caf?.png is small", "reading caf?.png"));
}

TEST_F(LeaseKeeperTest, ALostLeaseIsKnownAndNotRenewedAnyMore) {
  service_.Answer(
      ToGrpcStatus(RpcError(absl::StatusCode::kAborted, "LEASE_LOST", "another holds the job")));
  LeaseKeeper keeper(*stub_, lease_);
  keeper.Warn("too late");
  EXPECT_TRUE(keeper.Flush(absl::Seconds(10)));
  EXPECT_TRUE(keeper.lost());
  EXPECT_EQ(service_.heard().size(), 1);
}

TEST_F(LeaseKeeperTest, AWorkerThatDoesNotStopAfterItsLeaseWasLostIsEnded) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  service_.Answer(
      ToGrpcStatus(RpcError(absl::StatusCode::kAborted, "LEASE_LOST", "no progress was made")));
  EXPECT_EXIT(
      {
        const LeaseKeeper keeper(*stub_, lease_, absl::Milliseconds(10));
        for (;;) absl::SleepFor(absl::Seconds(1));
      },
      testing::ExitedWithCode(1), "this worker hangs");
}

TEST_F(LeaseKeeperTest, HearsThatTheJobIsCancelled) {
  service_.Cancel();
  LeaseKeeper keeper(*stub_, lease_);
  keeper.Report(Step(1));
  ASSERT_TRUE(keeper.Flush(absl::Seconds(10)));
  EXPECT_TRUE(keeper.cancel_requested());
}

TEST_F(LeaseKeeperTest, RefusedNewsDoNotStopTheHeart) {
  service_.Answer({grpc::StatusCode::INVALID_ARGUMENT, "no such phase"});
  LeaseKeeper keeper(*stub_, lease_);
  keeper.Report(Step(1));
  service_.AwaitHeartbeats(2);
  EXPECT_FALSE(keeper.lost());
  EXPECT_FALSE(service_.heard()[1].has_progress());
}

}  // namespace
}  // namespace likeness
