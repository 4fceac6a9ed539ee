// A server as a process of its own, whose disk a test spoils.
#pragma once

#include <signal.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/rpc_error.h"
#include "gtest/gtest.h"
#include "likeness/v1/job_service.grpc.pb.h"
#include "tests/support/fake_worker.h"
#include "tests/support/job_calls.h"
#include "tests/support/read_blob.h"
#include "tests/support/server_process.h"
#include "tests/support/test_photos.h"
#include "tests/support/test_server.h"

namespace likeness::testing {

class ServerDiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer must be the first library";
#endif
  }

  void StartServer(std::vector<std::string> flags = {}) {
    server_ = std::make_unique<ServerProcess>(LIKENESS_SERVER_PROGRAM, data_, port_, flags);
  }

  void Kill() {
    server_->Signal(SIGKILL);
    server_->Wait();
  }

  // `waits`: for a server that has just begun.
  absl::StatusOr<v1::Job> Create(const std::string& id, bool waits = true) {
    if (!offered_) (void)worker_.Acquire(absl::ZeroDuration());  // or there were no base model
    offered_ = true;
    v1::CreateJobRequest request = PictureJob();
    request.set_job_id(id);
    return CreateJob(*jobs_, request, waits);
  }

  absl::StatusOr<v1::Job> Get(const std::string& id) {
    return GetJob(*jobs_, "tenants/default/jobs/" + id, /*waits=*/true);
  }

  absl::StatusOr<std::string> ReadBlob(const std::string& digest, int64_t offset = 0,
                                       int64_t limit = 0) {
    return ::likeness::testing::ReadBlob(channel_, digest, offset, limit);
  }

  std::string PathOf(const std::string& digest) const {
    return absl::StrCat(data_, "/blobs/default/", digest.substr(0, 2), "/", digest);
  }

  TempFolder folder_;
  const std::string data_ = folder_.path() + "/data";
  const std::string store_ = data_ + "/jobs.sqlite";
  const int port_ = FreePort();
  std::unique_ptr<ServerProcess> server_;
  std::shared_ptr<grpc::Channel> channel_ = ChannelTo(port_);
  FakeWorker worker_{channel_};
  bool offered_ = false;
  std::unique_ptr<v1::JobService::Stub> jobs_ = v1::JobService::NewStub(channel_);
};

}  // namespace likeness::testing
