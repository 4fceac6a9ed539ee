#include "common/address.h"

#include "common/rpc_error.h"
#include "gtest/gtest.h"

namespace likeness {
namespace {

std::string Parsed(const std::string& text) {
  const auto address = ParseAddress("--listen", text);
  if (address.ok()) return ToString(*address);
  EXPECT_EQ(ErrorReason(address.status()), "INVALID_ADDRESS") << text;
  EXPECT_NE(address.status().message().find(text), std::string::npos) << address.status();
  return "refused";
}

TEST(AddressTest, WhatCanBeListenedOnIsRead) {
  for (const char* text :
       {"127.0.0.1:50051", "localhost:0", "[::1]:9464", "[fe80::1%eth0]:1",
        "my-host.example.com:65535", "unix:/run/likeness.sock", "unix:here.sock", "0.0.0.0:80"}) {
    EXPECT_EQ(Parsed(text), text);
  }
}

TEST(AddressTest, PortsThatAreNoneAreRefusedAndNeverWrap) {
  for (const char* text :
       {"localhost:99999", "localhost:65536", "localhost:4294967297", "localhost:", "localhost",
        "localhost:-1", "localhost:+80", "localhost:8 0", "localhost:http", "localhost:80s"}) {
    EXPECT_EQ(Parsed(text), "refused") << text;
  }
}

TEST(AddressTest, HostsThatAreNoneAreRefused) {
  for (const char* text :
       {"", ":80", "::1:80", "[::1]", "[localhost]:80", "[::1:80", "999.1.1.1:80", "1.2.3:80",
        "a b:80", "127.0.0.1:80,0.0.0.0:80", "http://localhost:80", "unix:"}) {
    EXPECT_EQ(Parsed(text), "refused") << text;
  }
}

TEST(AddressTest, TargetsMayBeSpeltAsGrpcDoesAndHaveAPort) {
  EXPECT_EQ(ToString(*ParseTarget("--server", "dns:///example.com:443")), "example.com:443");
  EXPECT_EQ(ErrorReason(ParseTarget("--server", "localhost:0").status()), "INVALID_ADDRESS");
}

TEST(AddressTest, PagesOfMetricsHaveAPort) {
  for (const char* text : {"localhost:9464", "[::1]:9464", "[::]:9464"}) {
    EXPECT_EQ(ParsePageAddress("--metrics-listen", text)->port, 9464) << text;
  }
  for (const char* text : {"unix:/page", "localhost"}) {
    EXPECT_EQ(ErrorReason(ParsePageAddress("--metrics-listen", text).status()), "INVALID_ADDRESS");
  }
}

TEST(AddressTest, LoopbackIsThisMachineAndNothingLikeIt) {
  for (const char* address : {"127.0.0.1:1", "127.8.9.10:1", "[::1]:1", "localhost:1", "unix:/a"}) {
    EXPECT_TRUE(IsLoopback(address)) << address;
  }
  for (const char* address : {"127.0.0.1", "127.0.0.1.example.com:1", "localhost.example.com:1",
                              "0.0.0.0:1", "[::]:1", "10.0.0.1:1", ":1", "", "127.0.0.1x:1"}) {
    EXPECT_FALSE(IsLoopback(address)) << address;
  }
}

}  // namespace
}  // namespace likeness
