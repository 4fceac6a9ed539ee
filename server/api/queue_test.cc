// The queue's policies over a real port: what is refused, time limits, retention.
#include <limits>

#include "absl/time/clock.h"
#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

class QueueTest : public ServiceTest {
 protected:
  QueueTest() : QueueTest([](ServerOptions&) {}) {}
  explicit QueueTest(const std::function<void(ServerOptions&)>& change) : ServiceTest(change) {
    OfferModels();
  }

  // Asks again until the answer is the one that the server's own clock brings about.
  static bool Eventually(const std::function<bool()>& there) {
    for (const absl::Time end = absl::Now() + absl::Seconds(30); absl::Now() < end;) {
      if (there()) return true;
      absl::SleepFor(absl::Milliseconds(20));
    }
    return false;
  }

  void ExpectFieldRefused(const std::function<void(v1::Job&)>& change, const std::string& field,
                          const std::string& reason = "OUT_OF_RANGE") {
    auto request = PictureJob();
    change(*request.mutable_job());
    ExpectRefused(request, reason, field);
  }
};

TEST_F(QueueTest, WhatMakesNoSenseIsRefused) {
  ExpectFieldRefused([](v1::Job& job) { job.set_priority(6); }, "job.priority");
  ExpectFieldRefused([](v1::Job& job) { job.set_priority(-1); }, "job.priority");
  ExpectFieldRefused([](v1::Job& job) { job.mutable_schedule_time()->set_seconds(-1); },
                     "job.schedule_time");
  ExpectFieldRefused(
      [](v1::Job& job) {
        job.mutable_schedule_time()->set_seconds(std::numeric_limits<int64_t>::max());
      },
      "job.schedule_time");
  ExpectFieldRefused([](v1::Job& job) { job.mutable_max_queue_duration(); },
                     "job.max_queue_duration");
  ExpectFieldRefused(
      [](v1::Job& job) {
        job.mutable_execution_timeout()->set_seconds(std::numeric_limits<int64_t>::max());
      },
      "job.execution_timeout");
  ExpectFieldRefused(
      [](v1::Job& job) { job.mutable_requirements()->set_min_device_memory_bytes(-1); },
      "job.requirements.min_device_memory_bytes");
  ExpectFieldRefused(
      [](v1::Job& job) { (*job.mutable_requirements()->mutable_labels())["Zone"] = "a"; },
      "job.requirements.labels", "INVALID_LABEL");
  ExpectFieldRefused(
      [](v1::Job& job) { (*job.mutable_requirements()->mutable_labels())["zone"] = "a\nb"; },
      "job.requirements.labels", "CONTROL_CHARACTERS");
}

TEST_F(QueueTest, WorkerWithWrongLabelsIsRefused) {
  grpc::ClientContext context;
  auto offer = worker_.Offer();
  (*offer.mutable_labels())[""] = "a";
  v1::AcquireLeaseResponse response;
  const auto stub = v1::WorkerService::NewStub(server_.channel());
  const auto status = FromGrpcStatus(stub->AcquireLease(&context, offer, &response));
  EXPECT_EQ(ErrorReason(status), "INVALID_LABEL") << status;
}

TEST_F(QueueTest, JobTellsHowItWaits) {
  auto request = PictureJob();
  EXPECT_EQ(Create(request)->priority(), 3);
  request.mutable_job()->set_priority(5);
  request.mutable_job()->mutable_schedule_time()->set_seconds(4'000'000'000);
  request.mutable_job()->mutable_execution_timeout()->set_seconds(60);
  request.mutable_job()->mutable_max_queue_duration()->set_seconds(61);
  (*request.mutable_job()->mutable_requirements()->mutable_labels())["zone"] = "a";
  const auto job = Get(Create(request)->name());
  EXPECT_EQ(job->priority(), 5);
  EXPECT_EQ(job->execution_timeout().seconds(), 60);
  EXPECT_EQ(job->max_queue_duration().seconds(), 61);
  EXPECT_EQ(job->requirements().labels().at("zone"), "a");
  EXPECT_EQ(job->estimated_start_time().seconds(), 4'000'000'000);
}

TEST_F(QueueTest, WorkerThatAsksAgainGetsTheLeaseWhoseAnswerItNeverSaw) {
  const auto first = Create(PictureJob());
  ASSERT_TRUE(Create(PictureJob()).ok());
  worker_.set_request_id("asked");
  const auto lost = worker_.Acquire();
  ASSERT_TRUE(lost.ok());
  FakeWorker other(server_.channel());
  const auto others = other.Acquire();
  ASSERT_TRUE(others.ok());
  const auto again = worker_.Acquire();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->lease_token(), lost->lease_token());
  EXPECT_EQ(again->job().attempt(), 1);
  ASSERT_TRUE(worker_.Report(again->lease_token(), 1).ok());
  EXPECT_TRUE(absl::IsNotFound(worker_.Acquire(absl::ZeroDuration()).status()))
      << "it has said that it has it";
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(worker_.Complete(again->lease_token()).ok());
    EXPECT_TRUE(other.Release(others->lease_token(), v1::RELEASE_REASON_PREEMPTED).ok());
  }
}

TEST_F(QueueTest, JobThatRunsTooLongFailsAndItsWorkerIsTold) {
  auto request = PictureJob();
  request.mutable_job()->mutable_execution_timeout()->set_seconds(1);
  const auto job = Create(request);
  const auto lease = worker_.Acquire();
  ASSERT_TRUE(lease.ok());
  const auto [events, status] = Watch(job->name());
  EXPECT_TRUE(status.ok()) << status;
  const auto& end = events.back().state_change().job();
  EXPECT_EQ(end.state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(ErrorReason(FromRpcStatus(end.error())), "EXECUTION_TIMEOUT");
  EXPECT_EQ(ErrorReason(worker_.Report(lease->lease_token(), 1).status()), "LEASE_LOST");
}

TEST_F(QueueTest, JobThatNobodyTakesFails) {
  auto request = PictureJob();
  request.mutable_job()->mutable_max_queue_duration()->set_seconds(1);
  (*request.mutable_job()->mutable_requirements()->mutable_labels())["zone"] = "nowhere";
  const auto job = Create(request);
  const auto [events, status] = Watch(job->name());
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(ErrorReason(FromRpcStatus(events.back().state_change().job().error())),
            "QUEUE_TIMEOUT");
}

class ShortEventRetentionTest : public QueueTest {
 protected:
  ShortEventRetentionTest()
      : QueueTest([](ServerOptions& options) { options.retention.events = absl::ZeroDuration(); }) {
  }
};

TEST_F(ShortEventRetentionTest, TokenOfACompactedJobHasExpired) {
  const auto job = Create(PictureJob());
  const auto token = TokenOfSnapshot(job->name());
  const auto lease = worker_.Acquire();
  ASSERT_TRUE(worker_.Report(lease->lease_token(), 5).ok());
  ASSERT_TRUE(worker_.Complete(lease->lease_token()).ok());
  EXPECT_TRUE(Eventually(
      [&] { return ErrorReason(Watch(job->name(), token).second) == "RESUME_TOKEN_EXPIRED"; }));
  const auto [events, status] = Watch(job->name());
  EXPECT_TRUE(status.ok()) << status;
  ASSERT_EQ(events.size(), 1u) << "a snapshot of its end";
  EXPECT_EQ(events[0].snapshot().state(), v1::JOB_STATE_SUCCEEDED);
}

class ShortJobRetentionTest : public QueueTest {
 protected:
  ShortJobRetentionTest()
      : QueueTest([](ServerOptions& options) { options.retention.jobs = absl::ZeroDuration(); }) {}
};

TEST_F(ShortJobRetentionTest, EndedJobIsForgotten) {
  const auto waiting = Create(PictureJob());
  const auto job = Create(PictureJob());
  ASSERT_TRUE(Cancel(job->name()).ok());
  EXPECT_TRUE(
      Eventually([&] { return ErrorReason(Get(job->name()).status()) == "JOB_NOT_FOUND"; }));
  EXPECT_TRUE(Get(waiting->name()).ok());
}

TEST(QueueOptionsTest, WrongFlagsAreNamed) {
  const auto refused = [](const std::function<void(ServerOptions&)>& change) {
    ServerOptions options;
    options.data_dir = "/data";
    EXPECT_TRUE(CheckOptions(options).ok());
    change(options);
    const auto violations = FieldViolations(CheckOptions(options));
    return violations.empty() ? "" : violations[0].field;
  };
  EXPECT_EQ(refused([](auto& o) { o.queue.ageing = absl::ZeroDuration(); }), "--priority-ageing");
  EXPECT_EQ(refused([](auto& o) { o.queue.ageing = absl::InfiniteDuration(); }),
            "--priority-ageing");
  EXPECT_EQ(refused([](auto& o) { o.retention.jobs = -absl::Seconds(1); }), "--job-retention");
  EXPECT_EQ(refused([](auto& o) { o.retention.events = -absl::Seconds(1); }), "--event-retention");
  for (const char* weight : {"acme", "acme=", "acme=0", "acme=nan", "acme=1000", "=1", "A b=1"}) {
    EXPECT_EQ(refused([&](auto& o) { o.tenant_weights = {weight}; }), "--tenant-weight") << weight;
  }
  EXPECT_EQ(TenantWeights({"acme=3,zoo=0.5", "me=1"})->size(), 3u);
}

}  // namespace
}  // namespace likeness::server
