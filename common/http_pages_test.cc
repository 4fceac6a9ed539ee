#include "common/http_pages.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/ask_for_page.h"
#include "tests/support/http_get.h"

namespace likeness {
namespace {

using ::likeness::testing::HttpGet;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class HttpPagesTest : public ::testing::Test {
 protected:
  ~HttpPagesTest() override {
    for (const int fd : open_) close(fd);
  }

  // A connection on which `request` was sent; what the peer takes no more is not.
  int Send(const std::string& request) {
    const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    open_.push_back(connection);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(pages_->port()));
    EXPECT_EQ(connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    for (size_t sent = 0; sent < request.size();) {
      const ssize_t count =
          send(connection, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) break;
      sent += static_cast<size_t>(count);
    }
    return connection;
  }

  // Until the peer hangs up.
  static std::string Answer(int connection) {
    std::string answer;
    char piece[4096];
    for (ssize_t count; (count = recv(connection, piece, sizeof(piece), 0)) > 0;) {
      answer.append(piece, static_cast<size_t>(count));
    }
    return answer;
  }
  std::string Ask(const std::string& request) { return Answer(Send(request)); }

  std::string Get(const std::string& path) { return HttpGet(pages_->port(), path); }

  const HttpPages::Pages content_ = {
      {"/page", [] { return HttpPages::Page{.body = "all is well\n", .type = "text/html"}; }},
      {"/ill", [] { return HttpPages::Page{.body = "a cold\n", .status = 503}; }},
      {"/throws", []() -> HttpPages::Page { throw std::runtime_error("secret"); }}};
  std::unique_ptr<HttpPages> pages_ = *HttpPages::Start({.host = "127.0.0.1"}, content_);
  std::vector<int> open_;
};

TEST_F(HttpPagesTest, PagesAreServedByTheirPaths) {
  const std::string page = Get("/page?of=mine");
  EXPECT_THAT(page, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(page, HasSubstr("\r\nContent-Type: text/html\r\n"));
  EXPECT_THAT(page, HasSubstr("\r\nContent-Length: 12\r\n"));
  EXPECT_THAT(page, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(page, EndsWith("\r\n\r\nall is well\n"));
  EXPECT_THAT(Get("/ill"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(Get("/ill"), EndsWith("\r\n\r\na cold\n"));
  EXPECT_THAT(Get("/elsewhere"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Get("/page/below"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Ask("GET /page HTTP/1.0\r\n\r\n"), EndsWith("\r\n\r\nall is well\n"));
}

TEST_F(HttpPagesTest, AnIpv6AddressIsServedAsWell) {
  const auto pages = HttpPages::Start(*ParsePageAddress("--listen", "[::1]:0"), content_);
  if (!pages.ok()) GTEST_SKIP() << "this machine has no IPv6: " << pages.status();
  const auto asked = AskForPage(absl::StrCat("[::1]:", (*pages)->port()), "/page");
  EXPECT_TRUE(asked.ok()) << asked;
}

TEST_F(HttpPagesTest, ANameIsAskedAtEachOfItsAddresses) {
  const auto pages = HttpPages::Start({.host = "localhost"}, content_);  // that of IPv4
  const auto asked = AskForPage(absl::StrCat("localhost:", (*pages)->port()), "/page");
  EXPECT_TRUE(asked.ok()) << asked;
}

TEST_F(HttpPagesTest, HeadIsAnsweredWithoutABodyAndWhatCarriesOneIsRefused) {
  const std::string head = Ask("HEAD /page HTTP/1.1\r\n\r\n");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(head, EndsWith("\r\n\r\n"));
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    EXPECT_THAT(Ask(absl::StrCat(method, " /page HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n")),
                StartsWith("HTTP/1.1 405 "))
        << method;
  }
}

TEST_F(HttpPagesTest, WhatAPageThrowsIsNotTold) {
  const std::string answer = Get("/throws");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(answer, ::testing::Not(HasSubstr("secret")));
}

TEST_F(HttpPagesTest, RequestsWithoutEndAreCut) {
  const std::string endless(64 << 20, 'x');
  Ask(endless);  // nothing is answered to what has no line
  Ask("GET /" + endless);
  Ask("GET /page HTTP/1.1\r\nX: " + endless);
  std::string headers = "GET /page HTTP/1.1\r\n";
  while (headers.size() < (1 << 20)) headers += "a:b\r\n";
  EXPECT_THAT(Ask(headers + "\r\n"), ::testing::Not(HasSubstr("all is well")));
  EXPECT_THAT(Get("/page"), EndsWith("all is well\n"));
}

TEST_F(HttpPagesTest, RangesAreNotMultiplied) {
  std::string ranges = "0-";
  while (ranges.size() < 3900) ranges += ",0-";
  EXPECT_THAT(Ask("GET /page HTTP/1.1\r\nRange: bytes=" + ranges + "\r\n\r\n"),
              EndsWith("\r\nContent-Length: 12\r\nContent-Type: text/html\r\n\r\nall is well\n"));
}

TEST_F(HttpPagesTest, NothingIsCompressed) {
  EXPECT_THAT(Ask("GET /page HTTP/1.1\r\naccept-encoding: br, gzip\r\n\r\n"),
              EndsWith("\r\n\r\nall is well\n"));
}

TEST_F(HttpPagesTest, PeersThatSaySlowlyWhatTheyWantMakeRoomForOthers) {
  std::vector<int> slow;
  for (int i = 0; i < 2; ++i) slow.push_back(Send("GET /pa"));
  EXPECT_THAT(Get("/page"), EndsWith("all is well\n"));
  for (const int connection : slow) EXPECT_EQ(Answer(connection), "");
}

TEST_F(HttpPagesTest, ADescriptorBeyondThoseOfSelectIsServed) {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < 1200) GTEST_SKIP() << "this process may not have so many files";
  limit.rlim_cur = std::max<rlim_t>(limit.rlim_cur, 1200);
  setrlimit(RLIMIT_NOFILE, &limit);
  for (int fd = 0; fd <= FD_SETSIZE;) {
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    open_.push_back(fd);
  }
  EXPECT_THAT(Get("/page"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpPagesTest, TheEndCutsOffWhoeverIsConnected) {
  const int silent = Send("");
  const int slow = Send("GET ");
  pages_.reset();
  EXPECT_EQ(Answer(silent), "");
  EXPECT_EQ(Answer(slow), "");
}

TEST_F(HttpPagesTest, WhatCannotBeListenedOnIsSaid) {
  const auto why = [](const std::string& host, int port) {
    return std::string(HttpPages::Start({.host = host, .port = port}, {}).status().message());
  };
  EXPECT_EQ(why("127.0.0.1", pages_->port()), "Address already in use");
  EXPECT_EQ(why("192.0.2.1", 0), "Cannot assign requested address");
  EXPECT_EQ(why("host.invalid", 0), "Name or service not known");
  const int port = pages_->port();
  pages_.reset();
  pages_ = *HttpPages::Start({.host = "0.0.0.0", .port = port}, content_);
  EXPECT_THAT(Get("/page"), EndsWith("all is well\n"));
}

}  // namespace
}  // namespace likeness
