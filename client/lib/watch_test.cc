#include "client/lib/watch.h"

#include "client/testing/scripted_server.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"

namespace likeness::client {
namespace {

using ::testing::ElementsAre;

v1::JobEvent Step(int64_t done) {
  v1::JobEvent event;
  event.mutable_progress()->set_done(done);
  return event;
}

constexpr BackoffOptions kImpatient{.first = absl::Milliseconds(1),
                                    .longest = absl::Milliseconds(5),
                                    .give_up_after = absl::Seconds(20)};

// Watches to the end; the events' counts stand in `seen`.
class WatchTest : public testing::Test {
 protected:
  absl::Status Watch(const std::string& address, std::stop_token stop = {}) {
    Connection connection(address);
    options_.backoff = kImpatient;
    options_.on_lost = [this](const absl::Status&) { ++lost_; };
    return WatchJob(
        connection, "tenants/default/jobs/rex", options_,
        [this](const v1::JobEvent& event) {
          seen_.push_back(event.progress().done());
          if (on_event_) on_event_();
        },
        stop);
  }

  WatchOptions options_;
  std::function<void()> on_event_;
  std::vector<int64_t> seen_;
  int lost_ = 0;
};

TEST_F(WatchTest, GoesOnWhereItBrokeAndRepeatsNothing) {
  ScriptedServer server({.events = {Step(1), Step(2), Step(3), Step(4)}, .break_before = {1, 3}});
  EXPECT_TRUE(Watch(server.address()).ok());
  EXPECT_THAT(seen_, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(server.record().resume_tokens, ElementsAre("", "1", "3"));
  EXPECT_EQ(lost_, 2);
}

TEST_F(WatchTest, StartsAfreshWhenTheServerForgotThePlace) {
  ScriptedServer server({.events = {Step(1), Step(2)}, .break_before = {1}, .forget_tokens = true});
  EXPECT_TRUE(Watch(server.address()).ok());
  EXPECT_THAT(server.record().resume_tokens, ElementsAre("", ""));
  EXPECT_THAT(seen_, ElementsAre(1, 1, 2));
}

TEST_F(WatchTest, GivesUpOnAServerThatStaysAway) {
  std::string address;
  { address = ScriptedServer({}).address(); }
  options_.backoff.give_up_after = absl::ZeroDuration();
  Connection connection(address);
  auto status = WatchJob(connection, "tenants/default/jobs/rex",
                         {.backoff = {.first = absl::Milliseconds(1),
                                      .longest = absl::Milliseconds(1),
                                      .give_up_after = absl::Milliseconds(50)}},
                         [](const v1::JobEvent&) {});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(WatchTest, StopsWhenAsked) {
  ScriptedServer server({.events = {Step(1)}, .hang_after_events = true});
  std::stop_source stop;
  on_event_ = [&] { stop.request_stop(); };
  EXPECT_EQ(Watch(server.address(), stop.get_token()).code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(seen_, ElementsAre(1));
}

TEST(BackoffTest, DoublesUpToTheLongest) {
  BackoffOptions options{.first = absl::Milliseconds(200), .longest = absl::Seconds(5)};
  EXPECT_EQ(BackoffDelay(options, 1, 0), absl::Milliseconds(200));
  EXPECT_EQ(BackoffDelay(options, 3, 0), absl::Milliseconds(800));
  EXPECT_EQ(BackoffDelay(options, 100, 0), absl::Seconds(5));
  EXPECT_EQ(BackoffDelay(options, 1, 0.8), absl::Milliseconds(160));
}

}  // namespace
}  // namespace likeness::client
