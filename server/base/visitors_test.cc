#include "server/base/visitors.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/base/listener.h"

namespace likeness::server {
namespace {

// A TCP connection over loopback, both ends.
struct Connection {
  explicit Connection(bool prepared = false) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (prepared) TcpSocket::PrepareListener(listener, 2 << 10);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener, any, size), 0);
    EXPECT_EQ(listen(listener, 1), 0);
    getsockname(listener, any, &size);
    client = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(connect(client, any, size), 0);
    served = accept(listener, nullptr, nullptr);
    close(listener);
  }
  ~Connection() {
    close(client);
    close(served);
  }

  void Send(size_t bytes) const {
    const std::string data(bytes, 'x');
    EXPECT_EQ(send(client, data.data(), bytes, 0), static_cast<ssize_t>(bytes));
  }
  // What the server's end gets until nothing comes for a tenth of a second, or it has so many
  // bytes.
  size_t Receive(size_t most) const {
    const timeval patience = {.tv_sec = 0, .tv_usec = 100'000};
    setsockopt(served, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    std::string data(64 << 10, ' ');
    size_t total = 0;
    while (total < most) {
      const ssize_t part = recv(served, data.data(), data.size(), 0);
      if (part <= 0) break;
      total += static_cast<size_t>(part);
    }
    return total;
  }
  // Whether the server's end was reset.
  bool cut() const {
    char byte = 0;
    return recv(client, &byte, 1, MSG_DONTWAIT) < 0 && errno == ECONNRESET;
  }
  int Option(int name) const {
    int value = -1;
    socklen_t size = sizeof(value);
    getsockopt(served, SOL_SOCKET, name, &value, &size);
    return value;
  }

  int client = -1;
  int served = -1;
};

TEST(VisitorsTest, OpenCallsAreBoundedForEachConnectionAndForAllTogether) {
  Visitors visitors({.open_calls = 3, .all_open_calls = 5});
  Connection greedy, busy, modest;
  visitors.Add(greedy.served, "greedy");
  visitors.Add(busy.served, "busy");
  visitors.Add(modest.served, "modest");
  std::vector<std::shared_ptr<void>> calls;
  for (int i = 0; i < 4; ++i) calls.push_back(visitors.Enter("greedy", false));
  EXPECT_TRUE(greedy.cut()) << "four at a time";
  EXPECT_FALSE(visitors.full());
  calls.push_back(visitors.Enter("greedy", false));
  EXPECT_TRUE(visitors.full()) << "calls of a closed connection take memory as long as they last";
  for (int i = 0; i < 3; ++i) calls.push_back(visitors.Enter("busy", false));
  for (int i = 0; i < 2; ++i) calls.push_back(visitors.Enter("modest", false));
  EXPECT_FALSE(busy.cut());
  calls.push_back(visitors.Enter("modest", false));
  EXPECT_EQ(busy.cut() + modest.cut(), 1) << "six in all";
  EXPECT_TRUE(visitors.full());
  calls.clear();
  EXPECT_FALSE(visitors.full());
  EXPECT_EQ(visitors.closed(), 2);
}

TEST(VisitorsTest, RefusedCallsAreBoundedInAll) {
  Visitors visitors({.refused_calls = 3});
  Connection connection;
  visitors.Add(connection.served, "peer");
  for (int i = 0; i < 10; ++i) visitors.Enter("peer", /*refused=*/false);
  for (int i = 0; i < 3; ++i) visitors.Enter("peer", /*refused=*/true);
  EXPECT_FALSE(connection.cut());
  visitors.Enter("peer", /*refused=*/true);
  EXPECT_TRUE(connection.cut());
  EXPECT_FALSE(visitors.any());
}

TEST(VisitorsTest, WhoHasShownAKeyIsLeftAlone) {
  Visitors visitors({.bytes = 100, .open_calls = 1, .all_open_calls = 1});
  Connection connection;
  visitors.Add(connection.served, "peer");
  const auto call = visitors.Enter("peer", true);
  EXPECT_TRUE(visitors.full());
  visitors.Forget("peer");
  EXPECT_FALSE(visitors.full());
  EXPECT_EQ(visitors.Enter("peer", true), nullptr);
  connection.Send(200);
  visitors.Look();
  EXPECT_FALSE(connection.cut());
  EXPECT_EQ(visitors.closed(), 0);
}

TEST(VisitorsTest, WhoSentTheMostIsClosedWhenAllTogetherSentTooMuch) {
  Visitors visitors({.bytes = 1000, .all_bytes = 1500});
  Connection much, more, little;
  visitors.Add(much.served, "much");
  visitors.Add(more.served, "more");
  visitors.Add(little.served, "little");
  much.Send(700);
  more.Send(800);
  visitors.Look();
  EXPECT_EQ(visitors.closed(), 0);
  little.Send(100);
  visitors.Look();
  EXPECT_EQ(visitors.closed(), 1);
  EXPECT_TRUE(more.cut());
  much.Send(500);
  visitors.Look();
  EXPECT_TRUE(much.cut()) << "too much for one";
  EXPECT_FALSE(little.cut());
}

TEST(VisitorsTest, WhoHasCalledOftenWithoutAKeyMaySendLittleAtOnce) {
  Visitors visitors({.bytes = 1000, .bytes_of_callers = 100, .few_calls = 2});
  Connection caller, other;
  visitors.Add(caller.served, "caller");
  visitors.Add(other.served, "other");
  for (int i = 0; i < 3; ++i) visitors.Enter("caller", /*refused=*/false);
  for (int i = 0; i < 2; ++i) visitors.Enter("other", /*refused=*/false);
  caller.Send(200);
  other.Send(200);
  visitors.Look();
  EXPECT_TRUE(caller.cut());
  EXPECT_FALSE(other.cut());
}

TEST(VisitorsTest, LittleAtATimeMayBeSentForEver) {
  Visitors visitors({.bytes = 100, .bytes_per_second = int64_t{1} << 40});
  Connection connection;
  visitors.Add(connection.served, "peer");
  for (int i = 0; i < 10; ++i) {
    connection.Send(90);
    visitors.Look();
  }
  EXPECT_FALSE(connection.cut());
}

// What lies there unread is read call by call before one of them is answered.
TEST(VisitorsTest, LittleLiesUnreadUntilAKeyWasShown) {
  Connection connection;
  if (connection.Option(SO_BUF_LOCK) < 0) GTEST_SKIP() << "Linux before 5.15";
  Visitors visitors;
  const int usual = connection.Option(SO_RCVBUF);
  visitors.Add(connection.served, "peer");
  EXPECT_LE(connection.Option(SO_RCVBUF), 8 << 10);
  visitors.Forget("peer");
  EXPECT_GE(connection.Option(SO_RCVBUF), std::min(usual, 128 << 10));
  EXPECT_EQ(connection.Option(SO_BUF_LOCK), 0) << "the kernel adapts it again";
}

TEST(VisitorsTest, KernelLetsInNoMoreThanAllowedUntilAKeyWasShown) {
  Connection connection(/*prepared=*/true);
  Visitors visitors({.bytes_at_once = 8 << 10});
  visitors.Add(connection.served, "peer");
  constexpr size_t kSent = 1 << 20;
  std::thread sender([&] { connection.Send(kSent); });
  size_t received = connection.Receive(kSent);
  EXPECT_LE(received, 8u << 10);
  EXPECT_FALSE(connection.cut());
  visitors.Forget("peer");
  for (int silences = 0; received < kSent && silences < 300;) {
    const size_t more = connection.Receive(kSent);
    received += more;
    if (more == 0) ++silences;
  }
  if (received < kSent)
    shutdown(connection.served, SHUT_RDWR);  // the sender must not wait for ever
  sender.join();
  EXPECT_EQ(received, kSent) << "what was held back comes again";
}

TEST(VisitorsTest, AfterAnAlarmNoMoreIsLetInUntilWhatCameBeforeHasSettled) {
  Connection flood, visitor(/*prepared=*/true);
  Visitors visitors({.refused_calls = 0,
                     .bytes_at_once_alarmed = 6 << 10,
                     .settles = absl::InfiniteDuration(),
                     .settles_unseen = absl::InfiniteDuration()});
  visitors.Add(flood.served, "flood");
  visitors.Enter("flood", /*refused=*/true);
  EXPECT_TRUE(flood.cut());
  visitors.Add(visitor.served, "visitor");
  visitor.Send(20 << 10);
  size_t received = 0;
  for (int i = 0; i < 3; ++i) {
    received += visitor.Receive(20 << 10);
    visitors.Look();
  }
  EXPECT_LE(received, 6u << 10);
}

TEST(VisitorsTest, AfterAnAlarmVisitorsGoOnOnceWhatCameBeforeHasSettled) {
  Connection flood, visitor(/*prepared=*/true);
  Visitors visitors({.refused_calls = 0,
                     .bytes_at_once_alarmed = 6 << 10,
                     .settles = absl::ZeroDuration(),
                     .settles_unseen = absl::ZeroDuration()});
  visitors.Add(flood.served, "flood");
  visitors.Enter("flood", /*refused=*/true);
  visitors.Add(visitor.served, "visitor");
  constexpr size_t kSent = 20 << 10;
  visitor.Send(kSent);
  size_t received = visitor.Receive(kSent);
  EXPECT_LE(received, 6u << 10);
  for (int looks = 0; received < kSent && looks < 300; ++looks) {
    visitors.Look();
    received += visitor.Receive(kSent - received);
  }
  EXPECT_EQ(received, kSent);
}

TEST(VisitorsTest, VisitorsShareWhatMayBeOnItsWay) {
  Visitors visitors({.unsettled_bytes = 32 << 10,
                     .bytes_at_once = 32 << 10,
                     .least_at_once = 1 << 10,
                     .settles = absl::InfiniteDuration(),
                     .settles_unseen = absl::InfiniteDuration()});
  std::vector<std::unique_ptr<Connection>> flood;
  for (int i = 0; i < 16; ++i) {
    flood.push_back(std::make_unique<Connection>(/*prepared=*/true));
    visitors.Add(flood.back()->served, absl::StrCat("peer", i));
    visitors.Look();  // as after each connection that is taken
  }
  for (const auto& connection : flood) connection->Send(8 << 10);
  size_t received = 0;
  for (const auto& connection : flood) received += connection->Receive(8 << 10);
  EXPECT_LE(received, 32u << 10);
  EXPECT_GE(received, 16u << 10);
}

TEST(VisitorsTest, WhoIsQuietTakesNoShare) {
  Visitors visitors({.unsettled_bytes = 32 << 10,
                     .bytes_at_once = 32 << 10,
                     .least_at_once = 1 << 10,
                     .quiet_after = absl::ZeroDuration(),
                     .settles = absl::ZeroDuration(),
                     .settles_unseen = absl::ZeroDuration()});
  std::vector<std::unique_ptr<Connection>> quiet;
  for (int i = 0; i < 16; ++i) {
    quiet.push_back(std::make_unique<Connection>(/*prepared=*/true));
    visitors.Add(quiet.back()->served, absl::StrCat("peer", i));
    quiet.back()->Send(10);
    EXPECT_EQ(quiet.back()->Receive(10), 10u);
    for (int look = 0; look < 3; ++look) visitors.Look();
  }
  Connection visitor(/*prepared=*/true);
  visitors.Add(visitor.served, "visitor");
  visitor.Send(32 << 10);
  EXPECT_GE(visitor.Receive(32 << 10), 16u << 10);
}

TEST(VisitorsTest, WhatAThousandVisitorsMayHaveOnItsWayIsWithinTheSum) {
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  if (files.rlim_cur < 4'000) {
    if (files.rlim_max < 4'000) GTEST_SKIP() << "too few files may be open";
    files.rlim_cur = 4'000;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  }
  for (const int quiet : {0, 100, 900}) {
    VisitorLimits limits;
    limits.settles = limits.settles_unseen = limits.quiet_after = absl::ZeroDuration();
    Visitors visitors(limits);
    std::vector<std::unique_ptr<Connection>> flood;
    for (int i = 0; i < 1'000; ++i) {
      flood.push_back(std::make_unique<Connection>(/*prepared=*/true));
      visitors.Add(flood.back()->served, absl::StrCat("peer", i));
      if (i >= quiet) continue;
      char byte = 0;
      flood.back()->Send(1);
      EXPECT_EQ(recv(flood.back()->served, &byte, 1, 0), 1);
    }
    for (int look = 0; look < 3; ++look) visitors.Look();
    for (const auto& connection : flood) connection->Send(2 << 10);
    int64_t received = 0;
    for (const auto& connection : flood) {
      std::string data(8 << 10, ' ');
      const auto part = recv(connection->served, data.data(), data.size(), MSG_DONTWAIT);
      received += std::max<int64_t>(part, 0);
    }
    EXPECT_LE(received, limits.unsettled_bytes) << quiet << " are quiet";
    EXPECT_GE(received, limits.unsettled_bytes / 4);
  }
}

TEST(VisitorsTest, NothingIsLetInWhileAsManyCallsAreOpenAsMayBe) {
  Connection busy, visitor(/*prepared=*/true);
  Visitors visitors({.all_open_calls = 1});
  visitors.Add(busy.served, "busy");
  visitors.Add(visitor.served, "visitor");
  auto call = visitors.Enter("busy", /*refused=*/false);
  visitors.Look();
  visitor.Send(1 << 10);
  EXPECT_EQ(visitor.Receive(1 << 10), 0u);
  call.reset();
  size_t received = 0;
  for (int looks = 0; received == 0 && looks < 300; ++looks) {
    visitors.Look();
    received += visitor.Receive(1 << 10);
  }
  EXPECT_EQ(received, 1u << 10);
}

TEST(VisitorsTest, BytesDoNotSettleBeforeTheyAreRead) {
  Connection connection;
  Visitors visitors({.unsettled_bytes = 100,
                     .settles = absl::ZeroDuration(),
                     .settles_unseen = absl::ZeroDuration()});
  visitors.Add(connection.served, "peer");
  connection.Send(200);
  for (int i = 0; i < 3; ++i) visitors.Look();
  EXPECT_TRUE(visitors.full());
  connection.Receive(200);
  for (int i = 0; i < 3; ++i) visitors.Look();
  EXPECT_FALSE(visitors.full());
}

TEST(VisitorsTest, ByteAfterByteDoesNotKeepThoseBeforeFromSettling) {
  Connection connection;
  Visitors visitors({.unsettled_bytes = 100,
                     .settles = absl::InfiniteDuration(),
                     .settles_unseen = absl::Milliseconds(1)});
  visitors.Add(connection.served, "peer");
  connection.Send(200);
  visitors.Look();
  EXPECT_TRUE(visitors.full());
  connection.Receive(200);
  for (int i = 0; i < 3; ++i) {
    connection.Send(1);
    absl::SleepFor(absl::Milliseconds(2));
    visitors.Look();
  }
  EXPECT_FALSE(visitors.full());
}

TEST(VisitorsTest, BytesDoNotSettleBeforeACallHasComeOutOfThem) {
  Connection connection;
  Visitors visitors({.unsettled_bytes = 100,
                     .settles = absl::ZeroDuration(),
                     .settles_unseen = absl::InfiniteDuration()});
  visitors.Add(connection.served, "peer");
  connection.Send(200);
  connection.Receive(200);
  for (int i = 0; i < 3; ++i) visitors.Look();
  EXPECT_TRUE(visitors.full());
  visitors.Enter("peer", /*refused=*/true);
  visitors.Look();
  EXPECT_FALSE(visitors.full());
}

TEST(VisitorsTest, ClosedConnectionCountsUntilItsOwnerLetsGoOfIt) {
  Connection connection, next;
  Visitors visitors({.refused_calls = 0, .unsettled_bytes = 100});
  visitors.Add(connection.served, "peer");
  connection.Send(200);
  visitors.Enter("peer", /*refused=*/true);
  EXPECT_TRUE(connection.cut());
  visitors.Look();
  EXPECT_TRUE(visitors.full()) << "200 bytes, of which calls may be on their way";
  close(std::exchange(connection.served, -1));
  visitors.Look();
  EXPECT_FALSE(visitors.full());
}

TEST(ListenerTest, ConnectionsWaitWhileNoneAreTaken) {
  auto listener = Listener::Open({.host = "127.0.0.1", .port = 0});
  ASSERT_TRUE(listener.ok());
  std::atomic<bool> accept = false;
  std::atomic<int> looked = 0;
  std::atomic<int> taken = 0;
  (*listener)->Start(
      [&](int fd, const std::string&) {
        close(fd);
        EXPECT_TRUE(accept);
        ++taken;
      },
      [&]() -> Listener::Next {
        ++looked;
        return {absl::Milliseconds(1), accept};
      });
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>((*listener)->port()));
  ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  for (const int before = looked; looked < before + 10;) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_EQ(taken, 0);
  accept = true;
  while (taken == 0) absl::SleepFor(absl::Milliseconds(1));
  close(client);
}

}  // namespace
}  // namespace likeness::server
