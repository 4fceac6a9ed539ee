// What the worker waits for while somebody sets the system's clock.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>

#include "absl/time/clock.h"
#include "common/clock.h"
#include "worker/wire/courier.h"
#include "worker/wire/lease_keeper.h"
#include "worker/wire/shutdown.h"

namespace {

std::atomic<time_t> seconds_ahead = 0;

}  // namespace

// The date as this program reads it. The kernel, by which it sleeps, knows nothing of the offset: a
// wait until a date then lasts as if the clock had been set back after the date was computed.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const long result = syscall(SYS_clock_gettime, clock, time);
  if (clock == CLOCK_REALTIME) time->tv_sec += seconds_ahead;
  return static_cast<int>(result);
}

namespace likeness {
namespace {

constexpr absl::Duration kLong = absl::Seconds(20);

class ClockStepTest : public testing::Test {
 protected:
  ClockStepTest() { seconds_ahead = 3600; }
  ~ClockStepTest() override { seconds_ahead = 0; }
};

class CountsHeartbeats : public v1::WorkerService::Service {
 public:
  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest*,
                         v1::HeartbeatResponse*) override {
    ++heartbeats;
    return grpc::Status::OK;
  }

  std::atomic<int> heartbeats = 0;
};

TEST_F(ClockStepTest, HeartbeatsGoOn) {
  CountsHeartbeats service;
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  const auto stub = v1::WorkerService::NewStub(server->InProcessChannel({}));
  v1::Lease lease;
  lease.mutable_duration()->set_nanos(300'000'000);
  const LeaseKeeper keeper(*stub, lease);
  const absl::Time end = SteadyNow() + kLong;
  while (service.heartbeats < 3 && SteadyNow() < end) absl::SleepFor(absl::Milliseconds(10));
  EXPECT_GE(service.heartbeats, 3);
}

TEST_F(ClockStepTest, AFlushEndsWhenItsTimeIsUp) {
  std::promise<void> gate;
  Courier courier;
  courier.Send([&] { gate.get_future().wait(); });
  std::promise<bool> flushed;
  auto result = flushed.get_future();
  std::thread flush([&] { flushed.set_value(courier.Flush(absl::Milliseconds(100))); });
  const auto ended = result.wait_for(absl::ToChronoSeconds(kLong));
  gate.set_value();
  flush.join();
  ASSERT_EQ(ended, std::future_status::ready);
  EXPECT_FALSE(result.get());
}

TEST_F(ClockStepTest, AStopHasItsTimeForACleanEnd) {
  auto& shutdown = *new Shutdown;  // its thread waits for signals until the process ends
  shutdown.Request();
  seconds_ahead = 7200;
  EXPECT_FALSE(shutdown.overdue());
}

}  // namespace
}  // namespace likeness
