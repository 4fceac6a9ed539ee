#include "worker/wire/courier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"

namespace likeness {
namespace {

constexpr absl::Duration kLong = absl::Seconds(60);

TEST(CourierTest, ErrandsAreRunInTheirOrder) {
  std::vector<int> sent;
  std::vector<int> done;
  Courier courier;
  for (int i = 0; i < 100; ++i) {
    sent.push_back(i);
    courier.Send([&done, i] { done.push_back(i); });
  }
  ASSERT_TRUE(courier.Flush(kLong));
  EXPECT_EQ(done, sent);
}

TEST(CourierTest, AnErrandThatThrowsEndsNoOther) {
  bool done = false;
  Courier courier;
  courier.Send([] { throw std::runtime_error("the disk is gone"); });
  courier.Send([&done] { done = true; });
  ASSERT_TRUE(courier.Flush(kLong));
  EXPECT_TRUE(done);
}

TEST(CourierTest, WhatIsUnderWayIsWaitedForAndNotLost) {
  absl::Notification gate;
  bool done = false;
  Courier courier;
  courier.Send([&] {
    gate.WaitForNotification();
    done = true;
  });
  EXPECT_FALSE(courier.Flush(absl::ZeroDuration()));
  gate.Notify();
  ASSERT_TRUE(courier.Flush(kLong));
  EXPECT_TRUE(done);
}

TEST(CourierTest, WhoSendsWaitsWhileMuchIsPending) {
  absl::Notification begun;
  absl::Notification gate;
  absl::Notification all_sent;
  int done = 0;
  Courier courier;
  courier.Send([&] {
    begun.Notify();
    gate.WaitForNotification();
  });
  begun.WaitForNotification();
  std::thread sender([&] {
    for (int i = 0; i < 17; ++i) courier.Send([&done] { ++done; });
    all_sent.Notify();
  });
  EXPECT_FALSE(all_sent.WaitForNotificationWithTimeout(absl::Milliseconds(100)))
      << "16 may be pending";
  gate.Notify();
  sender.join();
  ASSERT_TRUE(courier.Flush(kLong));
  EXPECT_EQ(done, 17);
}

}  // namespace
}  // namespace likeness
