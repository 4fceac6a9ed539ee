// Calls that are repeated until the server takes them, and those that are not.
#include <chrono>
#include <stop_token>
#include <thread>

#include "client/lib/generate.h"
#include "client/lib/jobs.h"
#include "client/lib/wait_notice.h"
#include "client/testing/scripted_server.h"
#include "common/clock.h"
#include "common/error_details.h"
#include "common/job_spec.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"

namespace likeness::client {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::SizeIs;

absl::Status RateLimited(absl::Duration delay) {
  return WithRetryDelay(
      RpcError(absl::StatusCode::kResourceExhausted, "RATE_LIMITED", "the tenant calls too often"),
      delay);
}

TEST(RepeatTest, ALargeJobWhoseAnswerWasLostIsAskedForAgainUnderTheSameId) {
  ScriptedServer server(
      {.refusals = {{"CreateJob", {absl::UnavailableError("the answer was lost")}}}});
  v1::CreateJobRequest request;
  MutableSubjectOf(*request.mutable_job()->mutable_fine_tune())
      .add_photos()
      ->set_inline_(std::string(8 << 20, 'x'));
  const auto job = CreateJob(Connection(server.address()), request);
  ASSERT_TRUE(job.ok()) << job.status();
  const auto ids = server.record().create_ids;
  EXPECT_THAT(ids, AllOf(SizeIs(2), Each(ids.front())));
  EXPECT_NE(ids.front(), "");
}

TEST(RepeatTest, ARateLimitIsWaitedFor) {
  const absl::Duration delay = absl::Milliseconds(200);
  ScriptedServer server({.refusals = {{"CreateJob", {RateLimited(delay), RateLimited(delay)}},
                                      {"GenerateImages", {RateLimited(delay)}}}});
  const Connection connection(server.address());
  const absl::Time start = SteadyNow();
  const auto job = CreateJob(connection, {});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_GE(SteadyNow() - start, 2 * delay);
  const auto drawn = GenerateImages(connection, {}, [](const auto&) {});
  ASSERT_TRUE(drawn.ok()) << drawn.status();
  EXPECT_THAT(server.record().generates, SizeIs(2));
}

TEST(RepeatTest, ARateLimitOfMoreThanAMinuteIsAnError) {
  ScriptedServer server({.refusals = {{"CreateJob", {RateLimited(absl::Minutes(2))}}}});
  const auto job = CreateJob(Connection(server.address()), {});
  EXPECT_EQ(ErrorReason(job.status()), "RATE_LIMITED");
}

TEST(RepeatTest, AStopEndsTheWaitForARateLimit) {
  ScriptedServer server({.refusals = {{"CreateJob", {RateLimited(absl::Seconds(30))}}}});
  std::stop_source stop;
  std::jthread stopper([&] {
    while (server.record().create_ids.empty()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    stop.request_stop();
  });
  const absl::Time start = SteadyNow();
  EXPECT_FALSE(CreateJob(Connection(server.address()), {}, stop.get_token()).ok());
  EXPECT_LT(SteadyNow() - start, absl::Seconds(20));
}

TEST(WaitNoticeTest, IsCalledWithoutALockAndMayPutAnotherInItsPlace) {
  int told = 0;
  SetWaitNotice([&](const std::string&, absl::Duration) {
    ++told;
    SetWaitNotice(nullptr);
  });
  NoticeWait("a test", absl::Seconds(2));
  NoticeWait("a test", absl::Seconds(2));
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace likeness::client
