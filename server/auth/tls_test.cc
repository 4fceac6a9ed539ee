// Encryption, workers' certificates, and certificates that change while the server runs.
#include "server/auth/tls.h"

#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/channel.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "likeness/v1/job_service.grpc.pb.h"
#include "server/auth/auth_file.h"
#include "tests/support/certificates.h"
#include "tests/support/fake_worker.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

using ::likeness::testing::Authority;
using ::likeness::testing::FakeWorker;
using ::likeness::testing::Identity;
using ::likeness::testing::TempFolder;
using ::likeness::testing::TestOptions;
using ::likeness::testing::TestServer;

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    Install(ours_.Issue("server"));
    Write("client-ca.pem", workers_.pem());
    token_ = CreateKey(Path("auth.json"), {.tenant = "acme", .roles = {Role::kRead}})->secret;
    auto options = TestOptions(Path("data"));
    options.auth_file = Path("auth.json");
    options.tls_cert = Path("cert.pem");
    options.tls_key = Path("key.pem");
    options.tls_client_ca = Path("client-ca.pem");
    server_ = std::make_unique<TestServer>(options);
  }

  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }

  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(Path(name) + ".new") << text;
    std::rename((Path(name) + ".new").c_str(), Path(name).c_str());
    return Path(name);
  }

  void Install(const Identity& identity) {
    Write("cert.pem", identity.cert);
    Write("key.pem", identity.key);
  }

  // What a client trusts and shows. Each channel connects anew.
  std::shared_ptr<grpc::Channel> Channel(const std::string& ca, const std::string& token,
                                         const Identity& own = {}) {
    ChannelSecurity security{.token = token};
    if (!ca.empty()) security.tls_ca = Write("trusted.pem", ca);
    if (!own.cert.empty()) {
      security.tls_cert = Write("own-cert.pem", own.cert);
      security.tls_key = Write("own-key.pem", own.key);
    }
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    auto channel =
        OpenChannel(absl::StrCat("localhost:", server_->server().port()), security, arguments);
    EXPECT_TRUE(channel.ok()) << channel.status();
    return *channel;
  }

  static absl::Status List(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
    v1::ListJobsResponse reply;
    return FromGrpcStatus(v1::JobService::NewStub(channel)->ListJobs(&context, {}, &reply));
  }

  TempFolder folder_;
  const Authority ours_{"our authority"};
  const Authority workers_{"workers' authority"};
  const Authority strangers_{"strangers' authority"};
  std::string token_;
  std::unique_ptr<TestServer> server_;
};

TEST_F(TlsTest, TokenTravelsEncrypted) {
  EXPECT_TRUE(List(Channel(ours_.pem(), token_)).ok());
  EXPECT_EQ(ErrorReason(List(Channel(ours_.pem(), ""))), "TOKEN_MISSING");
  EXPECT_TRUE(absl::IsUnavailable(List(Channel(strangers_.pem(), token_)))) << "not its server";
  EXPECT_TRUE(absl::IsUnavailable(List(Channel("", token_)))) << "in clear";
}

TEST_F(TlsTest, CertificateMakesAWorkerAndNothingElse) {
  const auto worker = Channel(ours_.pem(), "", workers_.Issue("gpu-1"));
  EXPECT_TRUE(absl::IsNotFound(FakeWorker(worker).Acquire(absl::ZeroDuration()).status()));
  EXPECT_EQ(ErrorReason(List(worker)), "ROLE_MISSING");
  EXPECT_TRUE(List(Channel(ours_.pem(), token_, workers_.Issue("gpu-1"))).ok())
      << "a token counts before the certificate";
}

TEST_F(TlsTest, CertificateOfStrangersIsRefused) {
  const auto stranger = Channel(ours_.pem(), token_, strangers_.Issue("gpu-1"));
  EXPECT_TRUE(absl::IsUnavailable(List(stranger))) << List(stranger);
}

TEST_F(TlsTest, NewCertificateIsServedWithoutRestart) {
  const Authority next("the next authority");
  Install(next.Issue("server"));
  // No call to the server: it notices by itself, within seconds.
  absl::Status status;
  for (int i = 0; i < 300 && !(status = List(Channel(next.pem(), token_))).ok(); ++i) {
    absl::SleepFor(absl::Milliseconds(100));
  }
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_FALSE(List(Channel(ours_.pem(), token_)).ok());
}

TEST_F(TlsTest, BrokenFilesLeaveTheOnesBefore) {
  const Identity other = ours_.Issue("server");
  Write("key.pem", other.key);  // not the key of the certificate
  server_->server().Reload();
  absl::SleepFor(absl::Seconds(2));  // gRPC's watcher looks every second
  EXPECT_TRUE(List(Channel(ours_.pem(), token_)).ok());
  Write("cert.pem", "no certificate");
  server_->server().Reload();
  absl::SleepFor(absl::Seconds(2));
  EXPECT_TRUE(List(Channel(ours_.pem(), token_)).ok());
}

TEST_F(TlsTest, ServerDoesNotStartOnFilesThatDoNotFit) {
  const Identity one = ours_.Issue("one");
  const Identity two = ours_.Issue("two");
  const std::string cert = Write("one.pem", one.cert);
  const std::string key = Write("two.pem", two.key);
  for (const TlsFiles& files : {TlsFiles{cert, key}, TlsFiles{cert, cert}, TlsFiles{key, key},
                                TlsFiles{Path("missing"), key}, TlsFiles{cert, Path("missing")},
                                TlsFiles{cert, Write("fits.pem", one.key), Path("missing")}}) {
    EXPECT_EQ(ErrorReason(TlsCertificates::Open(files).status()), "TLS_FILE")
        << files.cert << " " << files.key;
  }
}

// --- What the flags allow

class ExposureTest : public ::testing::Test {
 protected:
  static std::string Refusal(const std::function<void(ServerOptions&)>& change) {
    ServerOptions options = TestOptions("/nowhere");
    change(options);
    return ErrorReason(CheckOptions(options));
  }
};

TEST_F(ExposureTest, BeyondLoopbackThereMustBeKeysAndEncryption) {
  const auto listen = [](ServerOptions& options) { options.listen = "0.0.0.0:50051"; };
  EXPECT_EQ(Refusal(listen), "NOT_LOOPBACK");
  EXPECT_EQ(Refusal([&](auto& o) { listen(o), o.insecure = true; }), "NOT_LOOPBACK");
  EXPECT_EQ(Refusal([&](auto& o) { listen(o), o.tls_cert = o.tls_key = "x"; }), "NOT_LOOPBACK");
  EXPECT_EQ(Refusal([&](auto& o) { listen(o), o.auth_file = "x"; }), "NOT_LOOPBACK");
  EXPECT_EQ(Refusal([&](auto& o) { listen(o), o.auth_file = "x", o.insecure = true; }), "");
  EXPECT_EQ(Refusal([&](auto& o) { listen(o), o.auth_file = o.tls_cert = o.tls_key = "x"; }), "");
  EXPECT_EQ(Refusal([&](auto& o) { o.auth_file = "x"; }), "") << "keys on loopback";
}

TEST_F(ExposureTest, FlagsThatNeedOthers) {
  EXPECT_EQ(Refusal([](auto& o) { o.tls_cert = "x"; }), "INVALID_FLAG");
  EXPECT_EQ(Refusal([](auto& o) { o.tls_key = "x"; }), "INVALID_FLAG");
  EXPECT_EQ(Refusal([](auto& o) { o.auth_file = o.tls_client_ca = "x"; }), "INVALID_FLAG");
  EXPECT_EQ(Refusal([](auto& o) { o.tls_cert = o.tls_key = o.tls_client_ca = "x"; }),
            "INVALID_FLAG");
  EXPECT_EQ(Refusal([](auto& o) { o.metrics_listen = "0.0.0.0:1"; }), "NOT_LOOPBACK");
  EXPECT_EQ(Refusal([](auto& o) { o.metrics_listen = "0.0.0.0:1", o.metrics_public = true; }), "");
}

}  // namespace
}  // namespace likeness::server
