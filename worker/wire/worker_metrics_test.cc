#include "worker/wire/worker_metrics.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace likeness {
namespace {

TEST(WorkerMetricsTest, APortThatAnotherHasIsNamedWithItsFlag) {
  const int other = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(other, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(other, 1), 0);
  ASSERT_EQ(getsockname(other, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string taken = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  EXPECT_EQ(WorkerMetrics::Start(taken).status().message(),
            absl::StrCat("--metrics-address=", taken, ": Address already in use"));
  close(other);
  EXPECT_TRUE(WorkerMetrics::Start(taken).ok());
}

}  // namespace
}  // namespace likeness
