#include "worker/wire/lease_environment.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "worker/support/files.h"

namespace likeness {
namespace {

namespace bytestream = google::bytestream;
namespace fs = std::filesystem;
using ::testing::ElementsAre;

// Takes uploads once it is told to, and remembers what heartbeats bring.
class SlowServer : public bytestream::ByteStream::Service, public v1::WorkerService::Service {
 public:
  grpc::Status QueryWriteStatus(grpc::ServerContext*, const bytestream::QueryWriteStatusRequest*,
                                bytestream::QueryWriteStatusResponse*) override {
    return {grpc::StatusCode::NOT_FOUND, ""};
  }

  grpc::Status Write(grpc::ServerContext*, grpc::ServerReader<bytestream::WriteRequest>* reader,
                     bytestream::WriteResponse* response) override {
    {
      absl::MutexLock lock(&mutex_);
      ++uploads_;
      mutex_.Await(absl::Condition(&open_));
    }
    std::string bytes;
    for (bytestream::WriteRequest request; reader->Read(&request);) bytes += request.data();
    response->set_committed_size(std::ssize(bytes));
    absl::MutexLock lock(&mutex_);
    stored_.push_back(bytes);
    return grpc::Status::OK;
  }

  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse*) override {
    absl::MutexLock lock(&mutex_);
    for (const auto& sample : request->samples()) steps_.push_back(-sample.step());
    if (request->has_checkpoint()) steps_.push_back(request->checkpoint().step());
    return grpc::Status::OK;
  }

  void AwaitAnUpload() {
    absl::MutexLock lock(&mutex_);
    const auto any = [this] { return uploads_ > 0; };
    mutex_.Await(absl::Condition(&any));
  }
  void Open() {
    absl::MutexLock lock(&mutex_);
    open_ = true;
  }
  std::vector<std::string> stored() {
    absl::MutexLock lock(&mutex_);
    return stored_;
  }
  // Of checkpoints; of samples with a minus.
  std::vector<int64_t> steps() {
    absl::MutexLock lock(&mutex_);
    return steps_;
  }

 private:
  absl::Mutex mutex_;
  bool open_ = false;
  int uploads_ = 0;
  std::vector<std::string> stored_;
  std::vector<int64_t> steps_;
};

// Of the process: it takes its signals over.
Shutdown& NoShutdown() {
  static Shutdown& shutdown = *new Shutdown;
  return shutdown;
}

class LeaseEnvironmentTest : public testing::Test {
 protected:
  LeaseEnvironmentTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(static_cast<bytestream::ByteStream::Service*>(&service_));
    builder.RegisterService(static_cast<v1::WorkerService::Service*>(&service_));
    server_ = builder.BuildAndStart();
    const auto channel = server_->InProcessChannel({});
    stub_ = v1::WorkerService::NewStub(channel);
    lease_.set_lease_token("token-1");
    lease_.mutable_duration()->set_seconds(30);
    lease_.mutable_job()->set_name("tenants/default/jobs/rex");
    blobs_.emplace(channel, "token-1");
    keeper_.emplace(*stub_, lease_);
    environment_.emplace(lease_, *keeper_, *blobs_, *metrics_, root_, NoShutdown());
  }
  ~LeaseEnvironmentTest() override {
    environment_.reset();
    keeper_.reset();
    fs::remove_all(root_);
  }

  fs::path Write(const std::string& bytes) {
    const fs::path file = environment_->scratch() / bytes;
    WriteFile(file, bytes);
    return file;
  }

  void Show(int64_t step) {
    const std::string bytes = absl::StrCat("preview ", step);
    v1::SampleEvent sample;
    sample.set_step(step);
    sample.mutable_output()->set_blob(absl::StrCat("tenants/default/blobs/", Sha256Hex(bytes)));
    environment_->Show(sample, Write(bytes));
  }

  void Deliver() {
    service_.Open();
    environment_->Flush();
    ASSERT_TRUE(keeper_->Flush(absl::Seconds(60)));
  }

  const fs::path root_ =
      fs::temp_directory_path() / absl::StrCat("lease-environment-test-", getpid());
  SlowServer service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  v1::Lease lease_;
  std::unique_ptr<WorkerMetrics> metrics_ = *WorkerMetrics::Start("");
  std::optional<BlobClient> blobs_;
  std::optional<LeaseKeeper> keeper_;
  std::optional<LeaseEnvironment> environment_;
};

TEST_F(LeaseEnvironmentTest, OfCheckpointsThatWaitTheNewestIsDelivered) {
  environment_->SaveCheckpoint(10, Write("ten"));
  service_.AwaitAnUpload();
  environment_->SaveCheckpoint(20, Write("twenty"));
  environment_->SaveCheckpoint(30, Write("thirty"));
  EXPECT_FALSE(fs::exists(environment_->scratch() / "twenty")) << "it takes no room while it waits";
  Deliver();
  EXPECT_THAT(service_.stored(), ElementsAre("ten", "thirty"));
  EXPECT_EQ(service_.steps().back(), 30);
  EXPECT_THAT(service_.steps(), testing::Not(testing::Contains(20)));
  EXPECT_FALSE(fs::exists(environment_->scratch() / "ten"));
  EXPECT_FALSE(fs::exists(environment_->scratch() / "thirty"));
}

TEST_F(LeaseEnvironmentTest, WhatWasShownBeforeACheckpointIsDeliveredBeforeIt) {
  environment_->SaveCheckpoint(10, Write("ten"));
  service_.AwaitAnUpload();
  environment_->SaveCheckpoint(20, Write("twenty"));
  Show(25);
  environment_->SaveCheckpoint(30, Write("thirty"));
  Deliver();
  EXPECT_THAT(service_.stored(), ElementsAre("ten", "preview 25", "thirty"));
  EXPECT_EQ(service_.steps().back(), 30) << "of a heartbeat, samples count before the checkpoint";
}

}  // namespace
}  // namespace likeness
