// Faults over a real process: the server is killed, its disk is full, it is told to stop.
#include <signal.h>
#include <sys/resource.h>

#include <thread>

#include "common/digest.h"
#include "common/rpc_error.h"
#include "gtest/gtest.h"
#include "likeness/v1/job_service.grpc.pb.h"
#include "tests/support/fake_worker.h"
#include "tests/support/server_process.h"
#include "tests/support/test_photos.h"
#include "tests/support/test_server.h"

namespace likeness::testing {
namespace {

// Limits the size of files of this process and of what it starts, for as long as it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_ = {};
};

class ServerFaultTest : public ::testing::Test {
 protected:
  void StartServer(std::vector<std::string> flags = {}) {
    server_ =
        std::make_unique<ServerProcess>(LIKENESS_SERVER_PROGRAM, folder_.path(), port_, flags);
  }

  // Reads a watch into `events` until it ends.
  absl::Status Watch(const std::string& name, std::vector<v1::JobEvent>* events) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    v1::WatchJobRequest request;
    request.set_name(name);
    if (!events->empty()) request.set_resume_token(events->back().resume_token());
    auto stream = jobs_->WatchJob(&context, request);
    for (v1::JobEvent event; stream->Read(&event);) events->push_back(event);
    return FromGrpcStatus(stream->Finish());
  }

  v1::Job CreatePictureJob() {
    (void)worker_.Acquire(absl::ZeroDuration());
    grpc::ClientContext context;
    v1::Job job;
    EXPECT_TRUE(jobs_->CreateJob(&context, PictureJob(), &job).ok());
    return job;
  }

  TempFolder folder_;
  const int port_ = FreePort();
  std::unique_ptr<ServerProcess> server_;
  std::shared_ptr<grpc::Channel> channel_ = ChannelTo(port_);
  FakeWorker worker_{channel_};
  std::unique_ptr<v1::JobService::Stub> jobs_ = v1::JobService::NewStub(channel_);
};

TEST_F(ServerFaultTest, KilledServerLosesNoState) {
  StartServer();
  const v1::Job job = CreatePictureJob();
  const auto lease = worker_.Acquire();
  ASSERT_TRUE(lease.ok());
  std::vector<v1::JobEvent> events;
  absl::Status watch;
  std::thread watching([&] { watch = Watch(job.name(), &events); });
  ASSERT_TRUE(worker_.Report(lease->lease_token(), 1).ok());
  server_->Signal(SIGKILL);
  server_->Wait();
  watching.join();
  EXPECT_TRUE(absl::IsUnavailable(watch)) << watch;

  StartServer();
  ASSERT_TRUE(worker_.Report(lease->lease_token(), 2).ok()) << "the lease goes on";
  watching = std::thread([&] { watch = Watch(job.name(), &events); });
  ASSERT_TRUE(worker_.Complete(lease->lease_token()).ok());
  watching.join();
  EXPECT_TRUE(watch.ok()) << watch;
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().state_change().to(), v1::JOB_STATE_SUCCEEDED);
  int64_t seq = 0;  // stored events come once each and in order
  for (const v1::JobEvent& event : events) {
    if (event.seq() == 0) continue;
    EXPECT_GT(event.seq(), seq);
    seq = event.seq();
  }
}

TEST_F(ServerFaultTest, FullDiskRefusesTheUploadAndShowsNothing) {
  // The limit on file size stands for the disk: writes beyond it fail as on a full one.
  const FileSizeLimit limit(3 << 20);
  StartServer();
  const std::string big(4 << 20, 'x');
  const auto refused = worker_.Upload(big);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted) << refused.status();
  EXPECT_EQ(ErrorReason(refused.status()), "STORAGE_FULL");
  EXPECT_TRUE(worker_.Upload(std::string(1 << 20, 'y')).ok()) << "smaller ones still fit";
  CreatePictureJob();
  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token(worker_.Acquire()->lease_token());
  outcome.add_outputs()->set_path("big");
  outcome.mutable_outputs(0)->set_blob("tenants/default/blobs/" + Sha256Hex(big));
  EXPECT_EQ(ErrorReason(worker_.Complete(outcome)), "BLOB_NOT_FOUND");
}

TEST_F(ServerFaultTest, TermEndsTheServerThoughAWatchIsOpen) {
  StartServer({"--drain-timeout=5s"});
  const v1::Job job = CreatePictureJob();
  std::vector<v1::JobEvent> events;
  absl::Status watch;
  std::thread watching([&] { watch = Watch(job.name(), &events); });
  absl::SleepFor(absl::Milliseconds(300));  // until the watch is open
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0);
  watching.join();
  EXPECT_TRUE(absl::IsUnavailable(watch)) << watch;
}

TEST_F(ServerFaultTest, DataDirectoryHasOneServer) {
  StartServer();
  auto options = TestOptions(folder_.path());
  EXPECT_EQ(ErrorReason(server::Server::Start(options).status()), "DATA_DIR_IN_USE");
}

}  // namespace
}  // namespace likeness::testing
