// A token never travels readable by strangers.
#include "common/channel.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/grpcpp.h"
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

TEST(ChannelTest, ThisMachineIsReachedWithoutTheProxyOfTheEnvironment) {
  int port = 0;
  grpc::CallbackGenericService service;
  grpc::ServerBuilder builder;
  builder.RegisterCallbackGenericService(&service);
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  const auto server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  setenv("http_proxy", "http://127.0.0.1:1", 1);  // where nothing listens
  for (const char* host : {"127.0.0.1:", "localhost:"}) {
    const auto channel = OpenChannel(absl::StrCat(host, port), {}, {});
    ASSERT_TRUE(channel.ok());
    EXPECT_TRUE(
        (*channel)->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(5)))
        << host;
  }
  unsetenv("http_proxy");
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
