// Keys in the file: made, read, revoked, and refused when they make no sense.
#include "server/auth/auth_file.h"

#include <sys/stat.h>

#include <fstream>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/auth/authenticator.h"
#include "server/auth/keys_command.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

using ::likeness::testing::TempFolder;
using ::testing::HasSubstr;

class AuthFileTest : public ::testing::Test {
 protected:
  AuthConfig Read() {
    auto config = ParseAuthFile(*ReadAuthFile(path_));
    EXPECT_TRUE(config.ok()) << config.status();
    return *std::move(config);
  }
  std::unique_ptr<Authenticator> Open() { return *Authenticator::Open(path_, clock_); }

  TempFolder folder_;
  FakeClock clock_;
  const std::string path_ = folder_.path() + "/auth.json";
};

TEST_F(AuthFileTest, SecretIsNowhereInTheFile) {
  const auto made = CreateKey(path_, {.tenant = "acme", .roles = {Role::kSubmit}});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->secret.size(), 3u + 12 + 1 + 64) << "256 random bits in hex";
  const std::string text = *ReadAuthFile(path_);
  EXPECT_THAT(text, HasSubstr(made->id));
  EXPECT_EQ(text.find(made->secret.substr(16)), std::string::npos);
}

TEST_F(AuthFileTest, SeveralKeysOfOneTenantLiveSideBySide) {
  const auto first = CreateKey(path_, {.tenant = "acme", .roles = {Role::kSubmit}});
  const auto second = CreateKey(path_, {.tenant = "acme", .roles = {Role::kRead, Role::kSubmit}});
  auto before = Open();
  for (const auto& key : {first, second}) {
    const auto caller = before->Identify({.bearer = key->secret});
    ASSERT_TRUE(caller.ok()) << caller.status();
    EXPECT_EQ(caller->tenant, "acme");
    EXPECT_EQ(caller->id, key->id);
  }
  ASSERT_TRUE(RevokeKey(path_, first->id).ok());
  EXPECT_TRUE(before->Identify({.bearer = first->secret}).ok()) << "not read again yet";
  before->Reload();
  EXPECT_EQ(ErrorReason(before->Identify({.bearer = first->secret}).status()), "TOKEN_INVALID");
  EXPECT_EQ(before->Identify({.bearer = second->secret})->roles,
            (Roles{Role::kSubmit, Role::kRead}));
  EXPECT_EQ(ErrorReason(RevokeKey(path_, first->id)), "KEY_NOT_FOUND");
}

TEST_F(AuthFileTest, KeyExpires) {
  const auto key = CreateKey(
      path_,
      {.tenant = "acme", .roles = {Role::kRead}, .expire_time = clock_.Now() + absl::Minutes(1)});
  auto authenticator = Open();
  const auto caller = authenticator->Identify({.bearer = key->secret});
  ASSERT_TRUE(caller.ok());
  EXPECT_TRUE(authenticator->StillHolds(*caller));
  clock_.Advance(absl::Minutes(1));
  EXPECT_FALSE(authenticator->StillHolds(*caller));
  EXPECT_EQ(ErrorReason(authenticator->Identify({.bearer = key->secret}).status()),
            "TOKEN_INVALID");
}

TEST_F(AuthFileTest, CertificateMakesAWorkerAndATokenCountsFirst) {
  const auto key = CreateKey(path_, {.tenant = "acme", .roles = {Role::kRead}});
  auto authenticator = Open();
  const auto worker = authenticator->Identify({.certificate = "gpu-1"});
  ASSERT_TRUE(worker.ok());
  EXPECT_TRUE(worker->is_worker());
  EXPECT_EQ(worker->roles, Roles{Role::kWorker});
  EXPECT_EQ(worker->id, "certificate:gpu-1");
  EXPECT_EQ(authenticator->Identify({.bearer = key->secret, .certificate = "gpu-1"})->tenant,
            "acme");
  EXPECT_FALSE(authenticator->Identify({.bearer = "x", .certificate = "gpu-1"}).ok());
}

TEST_F(AuthFileTest, KeysThatMakeNoSenseAreRefused) {
  EXPECT_FALSE(CreateKey(path_, {.tenant = "acme"}).ok()) << "no role";
  EXPECT_FALSE(CreateKey(path_, {.tenant = "", .roles = {Role::kRead}}).ok());
  EXPECT_FALSE(CreateKey(path_, {.tenant = "A/b", .roles = {Role::kRead}}).ok());
  EXPECT_FALSE(CreateKey(path_, {.tenant = "acme", .roles = {Role::kWorker}}).ok());
  EXPECT_FALSE(CreateKey(path_, {.roles = {Role::kWorker, Role::kAdmin}}).ok());
  struct stat info;
  EXPECT_NE(stat(path_.c_str(), &info), 0) << "nothing was written";
}

TEST_F(AuthFileTest, WhatIsNotKnownIsRefusedAndNamed) {
  const std::string hash(64, 'a');
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"", "JSON"},
      {"[]", "not an object"},
      {R"({"key": []})", "key is not known"},
      {R"({"keys": {}})", "keys is not a list"},
      {R"({"keys": [1]})", "keys[0] is not an object"},
      {R"({"keys": [{"id": "a", "tenant": "t", "roles": ["read"], "sha256": "x"}]})",
       "keys[0].sha256"},
      {R"({"keys": [{"id": "a", "tenant": "t", "roles": ["root"], "sha256": ")" + hash + "\"}]}",
       "root"},
      {R"({"keys": [{"id": "a", "tenant": "t", "roles": "read", "sha256": ")" + hash + "\"}]}",
       "keys[0].roles"},
      {R"({"keys": [{"id": "a", "tenant": "t", "roles": ["read"], "expires": 1, "sha256": ")" +
           hash + "\"}]}",
       "keys[0].expires is not known"},
      {R"({"keys": [{"id": "a", "tenant": "t", "roles": ["read"], "expire_time": "soon", )"
       R"("sha256": ")" +
           hash + "\"}]}",
       "keys[0].expire_time"},
  };
  for (const auto& [text, problem] : wrong) {
    const auto status = ParseAuthFile(text).status();
    EXPECT_EQ(ErrorReason(status), "INVALID_AUTH_FILE") << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(problem));
  }
}

TEST_F(AuthFileTest, KeysMadeAtTheSameTimeAllStay) {
  std::vector<std::thread> makers;
  for (int i = 0; i < 8; ++i) {
    makers.emplace_back([this] {
      for (int j = 0; j < 5; ++j) {
        EXPECT_TRUE(CreateKey(path_, {.tenant = "acme", .roles = {Role::kRead}}).ok());
      }
    });
  }
  for (auto& maker : makers) maker.join();
  EXPECT_EQ(Read().keys.size(), 40u);
}

TEST_F(AuthFileTest, CommandMakesListsAndRevokes) {
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(RunKeysCommand({"create", "--auth-file", path_, "--tenant", "acme", "--role", "submit",
                            "--role", "read", "--note", "the shop"}),
            0);
  std::string secret = ::testing::internal::GetCapturedStdout();
  ASSERT_FALSE(secret.empty());
  secret.pop_back();  // the line's end: nothing else is on stdout
  const auto caller = Open()->Identify({.bearer = secret});
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->roles, (Roles{Role::kSubmit, Role::kRead}));

  ::testing::internal::CaptureStdout();
  EXPECT_EQ(RunKeysCommand({"list", "--auth-file", path_}), 0);
  const std::string listed = ::testing::internal::GetCapturedStdout();
  EXPECT_THAT(listed, HasSubstr(caller->id));
  EXPECT_THAT(listed, HasSubstr("submit,read"));
  EXPECT_THAT(listed, HasSubstr("the shop"));
  EXPECT_EQ(listed.find(secret.substr(16)), std::string::npos);

  EXPECT_EQ(RunKeysCommand({"revoke", "--auth-file", path_, caller->id}), 0);
  EXPECT_FALSE(Open()->Identify({.bearer = secret}).ok());
  EXPECT_EQ(RunKeysCommand({"revoke", "--auth-file", path_, caller->id}), 1);
  EXPECT_EQ(RunKeysCommand({"create", "--auth-file", path_, "--tenant", "acme"}), 2);
  EXPECT_EQ(RunKeysCommand({"create", "--auth-file", path_, "--role", "root"}), 2);
  EXPECT_EQ(RunKeysCommand({"list"}), 2);
}

}  // namespace
}  // namespace likeness::server
