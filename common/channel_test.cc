// A token never travels readable by strangers.
#include "common/channel.h"

#include "common/rpc_error.h"
#include "gtest/gtest.h"

namespace likeness {
namespace {

std::string Refusal(const std::string& address, const ChannelSecurity& security) {
  return ErrorReason(OpenChannel(address, security, {}).status());
}

TEST(ChannelTest, TokenGoesUnencryptedToThisMachineAlone) {
  EXPECT_EQ(Refusal("127.0.0.1:1", {.token = "secret"}), "");
  EXPECT_EQ(Refusal("unix:/tmp/x", {.token = "secret"}), "");
  for (const char* address :
       {"10.0.0.1:1", "example.com:1", "127.0.0.1.example.com:1", "dns:///example.com:1"}) {
    EXPECT_EQ(Refusal(address, {.token = "secret"}), "TOKEN_UNPROTECTED") << address;
    EXPECT_EQ(Refusal(address, {}), "") << "there is no token to lose";
    EXPECT_EQ(Refusal(address, {.token = "secret", .tls = true}), "");
    EXPECT_EQ(Refusal(address, {.token = "secret", .insecure_token = true}), "");
  }
}

TEST(ChannelTest, WhatCannotBeUsedIsRefused) {
  EXPECT_EQ(Refusal("localhost:1", {.token = "two\nlines"}), "TOKEN_INVALID");
  EXPECT_EQ(Refusal("localhost:1", {.tls_ca = "/nowhere"}), "TLS_FILE");
  EXPECT_EQ(Refusal("localhost:1", {.tls_cert = "/nowhere"}), "TLS_FILE");
}

TEST(ChannelTest, AddressThatIsNoneIsRefusedAndNotGuessed) {
  for (const char* address :
       {"localhost:99999", "localhost", "localhost:0", "http://localhost:1"}) {
    EXPECT_EQ(Refusal(address, {}), "INVALID_ADDRESS") << address;
  }
}

}  // namespace
}  // namespace likeness
