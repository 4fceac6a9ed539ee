// What peers without a key can make the server do.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/digest.h"
#include "common/ids.h"
#include "common/job_spec.h"
#include "common/resource_names.h"
#include "grpcpp/grpcpp.h"
#include "server/api/service_fixture.h"
#include "server/auth/auth_file.h"
#include "server/auth/call_counts.h"
#include "tests/support/http_get.h"
#include "tests/support/raw_call.h"

namespace likeness::server {
namespace {

using ::likeness::testing::ChannelTo;
using ::likeness::testing::RawCall;
using ::likeness::testing::TempFolder;
using ::likeness::testing::TestOptions;

constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
constexpr char kListServices[] = "\x3a\x01*";  // ServerReflectionRequest

int ThreadsOfThisProcess() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int count = 0;
    if (word == "Threads:" && status >> count) return count;
  }
  return 0;
}

class StrangersTest : public ::testing::Test {
 protected:
  StrangersTest() {
    auto options = TestOptions(folder_.path() + "/data");
    options.auth_file = folder_.path() + "/auth.json";
    key_ = CreateKey(options.auth_file, {.tenant = "acme", .roles = {Role::kAdmin}})->secret;
    server_.emplace(options);
  }

  std::shared_ptr<grpc::Channel> Stranger() { return ChannelTo(server_->server().port()); }

  // How a call with the key and so many bytes of photos ends.
  absl::Status CreateWithKey(size_t bytes) {
    auto request = DogJob();
    MutableSubjectOf(*request.mutable_job()->mutable_fine_tune())
        .mutable_photos(0)
        ->set_inline_(std::string(bytes, 'x'));
    const auto jobs = v1::JobService::NewStub(ChannelTo(server_->server().port(), key_));
    return testing::CreateJob(*jobs, request).status();
  }

  TempFolder folder_;
  std::string key_;
  std::optional<TestServer> server_;
};

TEST_F(StrangersTest, KeyIsLookedAtBeforeAByteOfTheBodyIsThere) {
  for (const char* method :
       {"/likeness.v1.JobService/CreateJob", "/likeness.v1.JobService/WatchJob",
        "/likeness.v1.WorkerService/AcquireLease", "/google.bytestream.ByteStream/Write"}) {
    RawCall call(Stranger(), method);  // sends its headers and nothing else
    EXPECT_FALSE(call.Read().has_value());
    EXPECT_EQ(ErrorReason(FromGrpcStatus(call.Finish())), "TOKEN_MISSING") << method;
  }
}

TEST_F(StrangersTest, OpenReflectionStreamsHoldNoThreadsAndAreFew) {
  const int before = ThreadsOfThisProcess();
  const auto channel = Stranger();
  std::vector<std::unique_ptr<RawCall>> streams;
  for (int i = 0; i < 100; ++i) {
    streams.push_back(std::make_unique<RawCall>(channel, kReflection));
    ASSERT_TRUE(streams.back()->Write(kListServices));
    EXPECT_THAT(streams.back()->Read().value_or(""), ::testing::HasSubstr("JobService")) << i;
  }
  EXPECT_LE(ThreadsOfThisProcess(), before + 16);
  EXPECT_EQ(ErrorReason(FromGrpcStatus(streams.front()->Finish())), "TOO_MANY_CALLS")
      << "the oldest gives way";
  ASSERT_TRUE(streams.back()->Write(kListServices));
  EXPECT_THAT(streams.back()->Read().value_or(""), ::testing::HasSubstr("JobService"));
}

TEST_F(StrangersTest, ConnectionThatSendsMuchWithoutAKeyIsClosed) {
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(server_->server().port()));
  ASSERT_EQ(connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  // A header that is said to have 256 MB, and CONTINUATION frames of it for as long as they go.
  std::string bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
  bytes += std::string("\0\0\x08\1\0\0\0\0\1\0\1a\x7f\x80\x80\x80\x7f", 17);
  std::string more("\0\x40\0\x09\0\0\0\0\1", 9);
  more.resize(more.size() + 16384);
  ASSERT_GT(send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL), 0);
  int64_t sent = 0;
  while (sent < (int64_t{256} << 20)) {
    const ssize_t count = send(connection, more.data(), more.size(), MSG_NOSIGNAL);
    if (count < 0) break;
    sent += count;
  }
  close(connection);
  EXPECT_LT(sent, int64_t{256} << 20);
  EXPECT_TRUE(absl::IsInvalidArgument(CreateWithKey(30 << 20))) << "read whole, and no picture";
}

TEST_F(StrangersTest, ConnectionOnWhichNoCallHasAKeyIsClosed) {
  const auto stub = v1::JobService::NewStub(Stranger());
  grpc::Status status;
  int refused = 0;
  for (; refused < 300; ++refused) {
    grpc::ClientContext context;
    v1::Job job;
    status = stub->GetJob(&context, v1::GetJobRequest(), &job);
    if (status.error_code() == grpc::UNAVAILABLE) break;
  }
  EXPECT_EQ(status.error_code(), grpc::UNAVAILABLE) << "after " << refused;
  EXPECT_TRUE(absl::IsInvalidArgument(CreateWithKey(1 << 10))) << "others are served";
}

TEST_F(StrangersTest, WatchesOfHealthOnAConnectionWithAKeyDoNotGiveWayToOthers) {
  const auto channel = ChannelTo(server_->server().port(), key_);
  grpc::ClientContext context;
  v1::ListJobsRequest request;
  request.set_parent("tenants/acme");
  v1::ListJobsResponse jobs;
  ASSERT_TRUE(v1::JobService::NewStub(channel)->ListJobs(&context, request, &jobs).ok());
  std::vector<std::unique_ptr<RawCall>> watches;
  for (int i = 0; i < 80; ++i) {
    watches.push_back(std::make_unique<RawCall>(channel, "/grpc.health.v1.Health/Watch"));
    ASSERT_TRUE(watches.back()->Write(""));
    EXPECT_EQ(watches.back()->Read(), "\x08\x01") << i;
  }
  std::thread drain([this] { server_->server().Drain(); });
  EXPECT_EQ(watches.front()->Read(), "\x08\x02") << "it was open all the time";
  drain.join();
}

TEST_F(StrangersTest, CompressedMessagesAreNotUnpacked) {
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  context.AddMetadata("authorization", "Bearer " + key_);
  v1::GetJobRequest request;
  request.set_name("tenants/acme/jobs/" + std::string(50, 'x'));
  v1::Job job;
  const auto status = v1::JobService::NewStub(Stranger())->GetJob(&context, request, &job);
  EXPECT_EQ(status.error_code(), grpc::UNIMPLEMENTED) << status.error_message();
}

TEST_F(StrangersTest, HealthIsToldToWhoeverAsks) {
  RawCall check(Stranger(), "/grpc.health.v1.Health/Check");
  ASSERT_TRUE(check.Write("\x0a\x08liveness"));
  EXPECT_EQ(check.Read().value_or(""), "\x08\x01");  // SERVING
  RawCall unknown(Stranger(), "/grpc.health.v1.Health/Check");
  ASSERT_TRUE(
      unknown.Write("\x0a\x03"
                    "foo"));
  EXPECT_FALSE(unknown.Read().has_value());
  EXPECT_EQ(unknown.Finish().error_code(), grpc::NOT_FOUND);
  RawCall large(Stranger(), "/grpc.health.v1.Health/Check");
  large.Write(std::string(20'000, '\0'));
  EXPECT_FALSE(large.Read().has_value());
  EXPECT_EQ(large.Finish().error_code(), grpc::INVALID_ARGUMENT);
}

// --- With a key, but greedy

TEST(CallCountsTest, TenantThatHoldsTooManyCallsLeavesTheOthersTheirs) {
  CallCounts counts({.calls = 3, .transfers = 1});
  const Caller acme{.tenant = "acme"};
  std::vector<std::shared_ptr<void>> open;
  for (int i = 0; i < 3; ++i) {
    auto entered = counts.Enter(acme, i == 0 ? "Write" : "WatchJob");
    ASSERT_TRUE(entered.ok());
    open.push_back(*std::move(entered));
  }
  EXPECT_EQ(ErrorReason(counts.Enter(acme, "GetJob").status()), "TOO_MANY_CALLS");
  EXPECT_TRUE(counts.Enter(Caller{.tenant = "zoo"}, "GetJob").ok());
  open.pop_back();
  EXPECT_EQ(ErrorReason(counts.Enter(acme, "Read").status()), "TOO_MANY_CALLS")
      << "an upload is open";
  EXPECT_TRUE(counts.Enter(acme, "GetJob").ok());
  EXPECT_TRUE(counts.Enter(Caller{.tenant = ""}, "Write").ok());
}

// An answer takes memory until the client has taken it.
TEST_F(StrangersTest, CallsWhoseAnswersAreNotReadStillCount) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 5);  // less than an answer has
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  const auto bytes = google::bytestream::ByteStream::NewStub(
      grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", server_->server().port()),
                                grpc::InsecureChannelCredentials(), arguments));
  google::bytestream::WriteRequest piece;
  const std::string content = "a blob";
  piece.set_resource_name(
      UploadName{"acme", RandomUuid(), Sha256Hex(content), std::ssize(content)}.ToString());
  piece.set_data(content);
  piece.set_finish_write(true);
  struct Upload {
    grpc::ClientContext context;
    google::bytestream::WriteResponse reply;
    std::unique_ptr<grpc::ClientWriter<google::bytestream::WriteRequest>> stream;
  };
  const auto begin = [&] {
    auto upload = std::make_unique<Upload>();
    upload->context.AddMetadata("authorization", "Bearer " + key_);
    upload->stream = bytes->Write(&upload->context, &upload->reply);
    upload->stream->Write(piece);
    return upload;
  };
  ASSERT_TRUE(begin()->stream->Finish().ok());
  std::vector<std::unique_ptr<Upload>> unread;
  for (int i = 0; i < 128; ++i) {
    unread.push_back(begin());
    unread.back()->stream->WaitForInitialMetadata();  // the answer is on its way
  }
  EXPECT_EQ(ErrorReason(FromGrpcStatus(begin()->stream->Finish())), "TOO_MANY_CALLS");
  for (auto& upload : unread) EXPECT_TRUE(upload->stream->Finish().ok());
  absl::Status after;
  do {  // the server hears a moment later that the answers were taken
    after = FromGrpcStatus(begin()->stream->Finish());
  } while (ErrorReason(after) == "TOO_MANY_CALLS");
  EXPECT_TRUE(after.ok()) << after;
}

// --- Workers that wait

TEST_F(ServiceTest, NewJobWakesOneOfManyWaitingWorkers) {
  OfferModels();
  constexpr int kWorkers = 40;
  std::vector<std::thread> workers;
  std::atomic<int> leased = 0;
  for (int i = 0; i < kWorkers; ++i) {
    workers.emplace_back([&, i] {
      FakeWorker worker(server_.channel(), absl::StrCat("worker-", i));
      const auto lease = worker.Acquire(absl::Seconds(30));
      leased += lease.ok() ? 1 : 0;
    });
  }
  const auto looks = [this] {
    const std::string page =
        likeness::testing::HttpGet(server_.server().metrics_port(), "/metrics");
    const std::string name = "likeness_store_duration_seconds_count{operation=\"Acquire\"} ";
    const size_t at = page.find(name);
    return at == std::string::npos ? 0 : std::atoi(page.c_str() + at + name.size());
  };
  while (looks() < kWorkers + 1) absl::SleepFor(absl::Milliseconds(10));  // all have looked once
  for (int i = 0; i < kWorkers; ++i) {
    const int before = looks();
    ASSERT_TRUE(Create(PictureJob()).ok());
    while (leased <= i) absl::SleepFor(absl::Milliseconds(1));
    // Its own, one to see whether there are more, and those of the ticks meanwhile.
    EXPECT_LT(looks() - before, kWorkers / 2) << i;
  }
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(leased, kWorkers);
}

}  // namespace
}  // namespace likeness::server
