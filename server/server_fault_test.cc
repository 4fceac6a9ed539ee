// Faults over a real process: the server is killed, its disk is full, it is told to stop.
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/rpc_error.h"
#include "gtest/gtest.h"
#include "likeness/v1/job_service.grpc.pb.h"
#include "tests/support/fake_worker.h"
#include "tests/support/job_calls.h"
#include "tests/support/raw_call.h"
#include "tests/support/read_blob.h"
#include "tests/support/server_process.h"
#include "tests/support/test_photos.h"
#include "tests/support/test_server.h"
#include "tests/support/webhook_receiver.h"

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

// A file system of so many bytes over a directory, until this goes away.
class SmallDisk {
 public:
  SmallDisk(const std::string& path, int64_t bytes)
      : path_(path),
        mounted_(mount("tmpfs", path.c_str(), "tmpfs", 0, absl::StrCat("size=", bytes).c_str()) ==
                 0) {}
  ~SmallDisk() {
    if (mounted_) umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }

  void Fill() const {
    std::ofstream ballast(Ballast(), std::ios::binary);
    const std::string piece(4096, 'b');
    while (ballast.write(piece.data(), static_cast<std::streamsize>(piece.size())).flush()) {
    }
  }
  void MakeSpace() const { unlink(Ballast().c_str()); }

 private:
  std::string Ballast() const { return path_ + "/ballast"; }

  const std::string path_;
  const bool mounted_;
};

class ServerFaultTest : public ::testing::Test {
 protected:
  void StartServer(std::vector<std::string> flags = {}) {
    server_ =
        std::make_unique<ServerProcess>(LIKENESS_SERVER_PROGRAM, folder_.path(), port_, flags);
  }

  // A call may still be written to the connection of the server that was killed; as a real worker
  // does, this makes it again.
  static absl::Status Repeated(const std::function<absl::Status()>& call) {
    absl::Status status = call();
    while (absl::IsUnavailable(status)) status = call();
    return status;
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

  absl::StatusOr<v1::Job> Create(const v1::CreateJobRequest& request) {
    return CreateJob(*jobs_, request);
  }

  v1::Job CreatePictureJob() {
    (void)worker_.Acquire(absl::ZeroDuration());
    auto job = Create(PictureJob());
    EXPECT_TRUE(job.ok()) << job.status();
    return job.value_or(v1::Job());
  }

  v1::Job Get(const std::string& name) {
    const auto job = GetJob(*jobs_, name, /*waits=*/true);
    EXPECT_TRUE(job.ok()) << job.status();
    return job.value_or(v1::Job());
  }

  absl::Status Cancel(const std::string& name) { return CancelJob(*jobs_, name); }

  int CountListed() {
    grpc::ClientContext context;
    v1::ListJobsResponse page;
    EXPECT_TRUE(jobs_->ListJobs(&context, v1::ListJobsRequest(), &page).ok());
    return page.jobs_size();
  }

  // What a watch begins with.
  v1::Job Snapshot(const std::string& name) {
    grpc::ClientContext context;
    v1::WatchJobRequest request;
    request.set_name(name);
    v1::JobEvent event;
    EXPECT_TRUE(jobs_->WatchJob(&context, request)->Read(&event));
    context.TryCancel();
    return event.snapshot();
  }

  TempFolder folder_;
  const int port_ = FreePort();
  std::unique_ptr<ServerProcess> server_;
  std::shared_ptr<grpc::Channel> channel_ = ChannelTo(port_);
  FakeWorker worker_{channel_};
  std::unique_ptr<v1::JobService::Stub> jobs_ = v1::JobService::NewStub(channel_);
};

TEST_F(ServerFaultTest, ServerKilledAgainAndAgainLosesNothingAndRepeatsNothing) {
  constexpr int kRounds = 3;
  StartServer();
  const v1::Job job = CreatePictureJob();
  std::vector<v1::JobEvent> events;
  {
    grpc::ClientContext context;
    v1::WatchJobRequest request;
    request.set_name(job.name());
    ASSERT_TRUE(jobs_->WatchJob(&context, request)->Read(&events.emplace_back()));
    context.TryCancel();
  }
  ASSERT_EQ(events[0].snapshot().state(), v1::JOB_STATE_PENDING);
  std::thread watching([&] {
    absl::Status end = Watch(job.name(), &events);
    while (absl::IsUnavailable(end)) end = Watch(job.name(), &events);
    EXPECT_TRUE(end.ok()) << end;
  });
  const auto lease = worker_.Acquire();
  ASSERT_TRUE(lease.ok());
  for (int round = 0; round < kRounds; ++round) {
    v1::HeartbeatRequest news;  // a log line: unlike progress it is never left out
    news.set_lease_token(lease->lease_token());
    news.set_sequence(round + 1);
    news.add_log_lines()->set_text(absl::StrCat("round ", round));
    EXPECT_TRUE(Repeated([&] { return worker_.Heartbeat(news).status(); }).ok())
        << "the lease goes on";
    server_->Signal(SIGKILL);
    server_->Wait();
    StartServer();
  }
  EXPECT_TRUE(Repeated([&] { return worker_.Complete(lease->lease_token()); }).ok());
  watching.join();

  // Event 1 is the creation, which the snapshot shows.
  ASSERT_EQ(events.size(), 1u + 1 + kRounds + 1);
  for (size_t i = 1; i < events.size(); ++i)
    EXPECT_EQ(events[i].seq(), static_cast<int64_t>(i) + 1);
  EXPECT_EQ(events[1].state_change().to(), v1::JOB_STATE_RUNNING);
  for (int round = 0; round < kRounds; ++round) {
    EXPECT_EQ(events[2 + round].log().text(), absl::StrCat("round ", round));
  }
  EXPECT_EQ(events.back().state_change().to(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(ServerFaultTest, FullDiskRefusesWritesAndAllGoesOnOnceThereIsSpace) {
  const SmallDisk disk(folder_.path(), 8 << 20);
  if (!disk.mounted()) GTEST_SKIP() << "only root can mount a small disk";
  StartServer();
  const v1::Job job = CreatePictureJob();
  const auto lease = worker_.Acquire();
  ASSERT_TRUE(lease.ok());
  const std::string big(1 << 20, 'x');
  ASSERT_TRUE(worker_.Upload("small").ok());
  RawCall health(channel_, "/grpc.health.v1.Health/Watch");
  ASSERT_TRUE(health.Write(""));
  EXPECT_EQ(health.Read(), "\x08\x01") << "SERVING";
  disk.Fill();
  EXPECT_EQ(health.Read(), "\x08\x02") << "NOT_SERVING";

  EXPECT_EQ(ErrorReason(worker_.Upload(big).status()), "STORAGE_FULL");
  EXPECT_EQ(ErrorReason(Create(DogJob()).status()), "STORAGE_FULL");
  int64_t told = 0;  // the last step that was acknowledged: some fit into the database's log
  absl::Status refused;
  while (refused.ok() && told < 10'000) {
    refused = worker_.Report(lease->lease_token(), told + 1).status();
    if (refused.ok()) ++told;
  }
  EXPECT_EQ(ErrorReason(refused), "STORAGE_FULL") << refused;
  EXPECT_EQ(Get(job.name()).progress().done(), told);
  EXPECT_EQ(ErrorReason(Cancel(job.name())), "STORAGE_FULL");
  // What is read goes on.
  EXPECT_EQ(Get(job.name()).state(), v1::JOB_STATE_RUNNING) << "nothing of it was done";
  EXPECT_EQ(CountListed(), 1);
  EXPECT_EQ(Snapshot(job.name()).progress().done(), told);
  const auto small = ReadBlob(channel_, Sha256Hex("small"));
  ASSERT_TRUE(small.ok()) << small.status();
  EXPECT_EQ(*small, "small");

  disk.MakeSpace();
  EXPECT_EQ(health.Read(), "\x08\x01");
  const auto blob = worker_.Upload(big);
  ASSERT_TRUE(blob.ok()) << blob.status();
  EXPECT_TRUE(Create(DogJob()).ok());
  EXPECT_TRUE(worker_.Report(lease->lease_token(), told + 1).ok());
  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token(lease->lease_token());
  outcome.add_outputs()->set_path("big");
  outcome.mutable_outputs(0)->set_blob(*blob);
  EXPECT_TRUE(worker_.Complete(outcome).ok());
  server_->Signal(SIGKILL);
  server_->Wait();
  StartServer();
  EXPECT_EQ(Get(job.name()).state(), v1::JOB_STATE_SUCCEEDED);
  server_.reset();  // before its disk goes
}

TEST_F(ServerFaultTest, FullDiskGetsRoomFromWhatNothingNames) {
  const SmallDisk disk(folder_.path(), 8 << 20);
  if (!disk.mounted()) GTEST_SKIP() << "only root can mount a small disk";
  StartServer();
  CreatePictureJob();
  const std::string old(2 << 20, 'o');
  ASSERT_TRUE(worker_.Upload(old).ok());
  const std::string digest = Sha256Hex(old);
  const std::string path =
      absl::StrCat(folder_.path(), "/blobs/default/", digest.substr(0, 2), "/", digest);
  std::filesystem::last_write_time(path,
                                   std::filesystem::last_write_time(path) - std::chrono::hours(25));
  disk.Fill();
  ASSERT_EQ(ErrorReason(worker_.Upload(std::string(1 << 20, 'n')).status()), "STORAGE_FULL");
  server_->Signal(SIGUSR1);  // as --collect-every would in the end
  absl::Status uploaded = absl::UnknownError("not tried");
  for (int i = 0; i < 1000 && !uploaded.ok(); ++i) {
    uploaded = worker_.Upload(std::string(500'000, 'n')).status();
    if (!uploaded.ok()) absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_TRUE(uploaded.ok()) << uploaded;
  EXPECT_TRUE(Create(DogJob()).ok());
  server_.reset();  // before its disk goes
}

TEST_F(ServerFaultTest, WatchersThatDoNotReadCostNoMemory) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer keeps memory of its own";
#endif
  StartServer();
  const v1::Job job = CreatePictureJob();
  const auto lease = worker_.Acquire();
  v1::WatchJobRequest request;
  request.set_name(job.name());
  std::vector<grpc::ClientContext> contexts(8);
  std::vector<std::unique_ptr<grpc::ClientReader<v1::JobEvent>>> watches;
  for (auto& context : contexts) {
    v1::JobEvent snapshot;
    ASSERT_TRUE(watches.emplace_back(jobs_->WatchJob(&context, request))->Read(&snapshot));
  }
  const int64_t before = server_->ResidentBytes();
  constexpr int kHeartbeats = 100;
  v1::HeartbeatRequest news;
  news.set_lease_token(lease->lease_token());
  for (int i = 0; i < 4; ++i) news.add_samples()->set_preview(std::string(64 << 10, 'x'));
  for (int i = 0; i < kHeartbeats; ++i) {
    news.set_sequence(i + 1);
    ASSERT_TRUE(worker_.Heartbeat(news).ok());
  }
  // 25 MiB of events for each watcher, 200 MiB in all, were it not for the bound. What the server
  // itself takes is no watcher's: 22 MiB without any, 35 with eight, as much after 400 heartbeats
  // as after 50. It is the pages that each connection to the database keeps in memory (16 MiB at
  // most), and what the allocator keeps for each thread that has carried a heartbeat.
  EXPECT_LT(server_->ResidentBytes() - before, 80 << 20);
  for (auto& context : contexts) context.TryCancel();
}

TEST_F(ServerFaultTest, LimitOnFilesRefusesTheUploadAndShowsNothing) {
  // Where no disk can be mounted, this stands for one: writes beyond the limit fail as well.
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

// The receiver is away when the job is created, and the server dies before it is back.
TEST_F(ServerFaultTest, KilledServerLosesNoCallToAWebhook) {
  TempFolder secrets;
  std::ofstream(secrets.path() + "/file") << "* whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";
  const std::vector<std::string> flags = {"--webhook-secrets=" + secrets.path() + "/file",
                                          "--webhook-allow=127.0.0.1",
                                          "--webhook-retry-delay=20ms"};
  StartServer(flags);
  const int port = FreePort();
  auto request = PictureJob();
  request.mutable_job()->mutable_webhook()->set_url(absl::StrCat("http://127.0.0.1:", port, "/"));
  (void)worker_.Acquire(absl::ZeroDuration());
  const auto job = Create(request);
  ASSERT_TRUE(job.ok()) << job.status();
  server_->Signal(SIGKILL);
  server_->Wait();
  WebhookReceiver receiver(port);
  StartServer(flags);
  const auto calls = receiver.WaitFor(1);
  EXPECT_EQ(calls[0].headers.at("webhook-id"), job->uid() + "-1");
}

TEST_F(ServerFaultTest, ChannelzIsServedOnlyWhenAskedFor) {
  StartServer();
  RawCall refused(channel_, "/grpc.channelz.v1.Channelz/GetServers");
  refused.Write("");
  EXPECT_FALSE(refused.Read()) << "not implemented";
  server_.reset();
  StartServer({"--channelz"});
  RawCall answered(ChannelTo(port_), "/grpc.channelz.v1.Channelz/GetServers");
  ASSERT_TRUE(answered.Write(""));
  EXPECT_TRUE(answered.Read());
}

TEST_F(ServerFaultTest, DataDirectoryHasOneServer) {
  StartServer();
  auto options = TestOptions(folder_.path());
  EXPECT_EQ(ErrorReason(server::Server::Start(options).status()), "DATA_DIR_IN_USE");
}

}  // namespace
}  // namespace likeness::testing
