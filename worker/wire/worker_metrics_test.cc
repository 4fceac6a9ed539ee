#include "worker/wire/worker_metrics.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "absl/strings/str_cat.h"
#include "tests/support/http_get.h"

namespace likeness {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// The libraries of CUDA have more thread-local storage than 100 KiB, which is part of each thread's
// stack: threads that ask for a small stack cannot be made in such a program, as this one is.
thread_local std::array<volatile char, 256 << 10> as_much_as_libraries_have;

sockaddr_in FreeAddress() {
  const int taken = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(taken, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size), 0);
  close(taken);
  return address;
}

TEST(WorkerMetricsTest, ThePageIsServedWhereThreadLocalStorageIsLarge) {
  as_much_as_libraries_have.back() = 1;
  const int port = ntohs(FreeAddress().sin_port);
  const auto metrics = WorkerMetrics::Start(absl::StrCat("127.0.0.1:", port));
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  (*metrics)->JobEnded("generate", "succeeded");
  const std::string page = likeness::testing::HttpGet(port, "/metrics");
  EXPECT_THAT(page, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(page, HasSubstr("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(page, HasSubstr("\nlikeness_worker_jobs_total{method=\"generate\","
                              "outcome=\"succeeded\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("\nprocess_resident_memory_bytes "));
  EXPECT_THAT(page, HasSubstr("\nlikeness_worker_peak_resident_memory_bytes "));
}

TEST(WorkerMetricsTest, APortThatAnotherHasIsNamedWithItsFlag) {
  const int other = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = FreeAddress();
  ASSERT_EQ(bind(other, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(other, 1), 0);
  const std::string taken = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  EXPECT_EQ(WorkerMetrics::Start(taken).status().message(),
            absl::StrCat("--metrics-address=", taken, ": Address already in use"));
  close(other);
  EXPECT_TRUE(WorkerMetrics::Start(taken).ok());
}

}  // namespace
}  // namespace likeness
