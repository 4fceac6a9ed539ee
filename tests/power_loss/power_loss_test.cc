// The power goes at any moment: nothing that was acknowledged may be missing afterwards, and every
// blob that is named must be there and whole. A server runs under the recorder (recorder.cc); the
// disk is rebuilt as it may have been at many moments, the moment of an answer above all; the
// stores are opened on what is left.
#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/job_spec.h"
#include "common/rpc_error.h"
#include "gtest/gtest.h"
#include "likeness/v1/job_service.grpc.pb.h"
#include "server/blobs/filesystem/filesystem_blob_store.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "tests/power_loss/disk.h"
#include "tests/support/fake_worker.h"
#include "tests/support/server_process.h"
#include "tests/support/test_photos.h"
#include "tests/support/test_server.h"

namespace likeness::testing {
namespace {

namespace fs = std::filesystem;
using server::BlobStore;
using server::JobStore;

// What a client was told.
struct Promise {
  enum class Kind { kUploaded, kCreated, kCheckpoint, kCompleted, kDeleted };
  Kind kind;
  std::string what;  // the blob's bytes, or the job's name
  int64_t at;        // size of the log when the answer was there
};

class Recording {
 public:
  Recording() { fs::create_directories(root_); }

  // Serves `clients` clients for so many jobs each, and dies.
  void Run(const std::string& forget, int clients, int jobs) {
    setenv(kRecordRoot, root_.c_str(), 1);
    setenv(kRecordLog, log_.c_str(), 1);
    setenv(kRecordForget, forget.c_str(), 1);
    setenv("LD_PRELOAD", LIKENESS_RECORDER, 1);
    const int port = FreePort();
    ServerProcess server(LIKENESS_SERVER_PROGRAM, root_, port, {"--log-level=error"});
    unsetenv("LD_PRELOAD");
    (void)FakeWorker(ChannelTo(port)).Acquire(absl::ZeroDuration());
    std::vector<std::thread> threads;
    for (int client = 0; client < clients; ++client) {
      threads.emplace_back([=, this] { Work(client, port, jobs); });
    }
    for (auto& thread : threads) thread.join();
    server.Signal(SIGKILL);
    server.Wait();
    records_ = ReadRecords(log_);
  }

  const std::string& root() const { return root_; }
  const std::vector<Record>& records() const { return records_; }
  const std::vector<Promise>& promises() const { return promises_; }

 private:
  void Told(Promise::Kind kind, const std::string& what) {
    std::lock_guard lock(mutex_);
    promises_.push_back({kind, what, static_cast<int64_t>(fs::file_size(log_))});
  }

  void Work(int client, int port, int jobs) {
    const auto channel = ChannelTo(port);
    FakeWorker worker(channel);
    auto stub = v1::JobService::NewStub(channel);
    const auto upload = [&](const std::string& bytes) {
      auto blob = worker.Upload(bytes);
      EXPECT_TRUE(blob.ok()) << blob.status();
      Told(Promise::Kind::kUploaded, bytes);
      return *blob;
    };
    for (int i = 0; i < jobs; ++i) {
      v1::CreateJobRequest request = DogJob();
      request.set_job_id(absl::StrCat("dog-", client, "-", i));
      auto* photo = MutableSubjectOf(*request.mutable_job()->mutable_fine_tune()).mutable_photos(0);
      photo->set_inline_(PngPhoto(64 + client, 64 + i));
      v1::Job job;
      {
        grpc::ClientContext context;
        ASSERT_TRUE(stub->CreateJob(&context, request, &job).ok());
        Told(Promise::Kind::kCreated, job.name());
      }
      auto lease = worker.Acquire();
      ASSERT_TRUE(lease.ok()) << lease.status();
      v1::HeartbeatRequest news;
      news.set_lease_token(lease->lease_token());
      news.set_sequence(1);
      news.mutable_checkpoint()->set_blob(
          upload(absl::StrCat(client, " checkpoint ", i, std::string(20'000, 'c'))));
      ASSERT_TRUE(worker.Heartbeat(news).ok());
      Told(Promise::Kind::kCheckpoint, lease->job().name());
      v1::CompleteLeaseRequest outcome;
      outcome.set_lease_token(lease->lease_token());
      outcome.add_outputs()->set_path("picture.png");
      outcome.mutable_outputs(0)->set_blob(upload(absl::StrCat(client, " picture ", i)));
      ASSERT_TRUE(worker.Complete(outcome).ok());
      Told(Promise::Kind::kCompleted, lease->job().name());
      if (i % 4 != 3) continue;
      grpc::ClientContext context;
      v1::DeleteJobRequest deletion;
      deletion.set_name(lease->job().name());
      google::protobuf::Empty nothing;
      ASSERT_TRUE(stub->DeleteJob(&context, deletion, &nothing).ok());
      Told(Promise::Kind::kDeleted, lease->job().name());
    }
  }

  TempFolder folder_;
  const std::string root_ = folder_.path() + "/data";
  const std::string log_ = folder_.path() + "/log";
  std::vector<Record> records_;
  std::mutex mutex_;
  std::vector<Promise> promises_;
};

bool IsWhole(BlobStore& blobs, const BlobName& name) {
  auto blob = blobs.Open(name);
  return blob.ok() && (*blob)->Read(0, (*blob)->size()).ok();
}

// What of the promises given before `end` is not kept by the directory. Empty: all is well.
std::vector<std::string> Broken(const std::string& directory, const std::vector<Promise>& promises,
                                int64_t end) {
  SystemClock clock;
  auto blobs = server::FilesystemBlobStore::Open(directory + "/blobs", 1 << 30, clock);
  server::SqliteJobStoreOptions options;
  options.path = directory + "/jobs.sqlite";
  auto jobs = server::SqliteJobStore::Open(options, clock);
  if (!blobs.ok() || !jobs.ok()) return {"the stores do not open"};
  std::vector<std::string> broken;
  std::set<std::string> deleted;
  for (const Promise& promise : promises) {
    if (promise.kind == Promise::Kind::kDeleted) deleted.insert(promise.what);
  }
  for (const Promise& promise : promises) {
    if (promise.at > end) continue;
    if (promise.kind == Promise::Kind::kUploaded) {
      if (!IsWhole(**blobs, {"default", Sha256Hex(promise.what)})) {
        broken.push_back("an upload is gone");
      }
      continue;
    }
    const auto job = (*jobs)->Get(*ParseJobName(promise.what));
    if (promise.kind == Promise::Kind::kDeleted) {
      if (job.ok()) broken.push_back("a deleted job is back");
      continue;
    }
    if (deleted.count(promise.what)) continue;  // it may be either
    if (!job.ok()) {
      broken.push_back("a job is gone");
    } else if (promise.kind == Promise::Kind::kCompleted &&
               job->state() != v1::JOB_STATE_SUCCEEDED) {
      broken.push_back("a job is not done any more");
    } else if (promise.kind == Promise::Kind::kCheckpoint && job->attempt() == 0) {
      broken.push_back("a lease is forgotten");
    }
  }
  const auto visited = (*jobs)->VisitBlobs([&](const server::NamedBlob& blob) {
    if (!IsWhole(**blobs, blob.name)) broken.push_back("a blob that is named is gone");
  });
  if (!visited.ok()) broken.push_back("the job store cannot be read");
  return broken;
}

// Loses power at `moments` moments, and tells what broke. Half of the moments are those at which an
// answer arrived: later ones are kinder.
std::vector<std::string> LosePower(const Recording& recording, int moments) {
  std::mt19937 random(7);
  std::multiset<int64_t> ends;
  for (int i = 0; i < moments; ++i) {
    ends.insert(i % 2 ? recording.promises()[random() % recording.promises().size()].at
                      : recording.records()[random() % recording.records().size()].end);
  }
  std::vector<std::string> broken;
  Disk disk(recording.root());
  size_t next = 0;
  for (const int64_t end : ends) {
    for (; next < recording.records().size() && recording.records()[next].end <= end; ++next) {
      disk.Apply(recording.records()[next]);
    }
    for (const auto luck : {Disk::Luck::kNothing, Disk::Luck::kSome, Disk::Luck::kAll}) {
      const TempFolder left;
      disk.LeaveAfterPowerLoss(left.path(), luck, random);
      for (const auto& what : Broken(left.path(), recording.promises(), end)) {
        broken.push_back(absl::StrCat(what, " at ", end));
      }
    }
  }
  return broken;
}

class PowerLossTest : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer must be the first library";
#endif
  }
};

TEST_F(PowerLossTest, NothingAcknowledgedIsLost) {
  Recording recording;
  recording.Run("", /*clients=*/4, /*jobs=*/10);
  ASSERT_GT(recording.promises().size(), 150u);
  EXPECT_EQ(LosePower(recording, /*moments=*/40), std::vector<std::string>());
}

// What a loss of power leaves of a file.
std::string Left(const Disk& disk, const std::string& path) {
  const TempFolder left;
  std::mt19937 random(0);
  disk.LeaveAfterPowerLoss(left.path(), Disk::Luck::kNothing, random);
  std::ifstream file(left.path() + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A process is killed after it announced that a blob gets its name. The next one finds that it has,
// or that it has not, and goes on from there.
class KilledAtRenameTest : public ::testing::Test {
 protected:
  // What a loss of power leaves of "/d/blob" once the next process opened `found` and fsynced all.
  std::string BlobAfter(const std::string& found) {
    Disk disk("/d");
    disk.Apply({Op::kFile, 1, 0, "/d/upload", "", 0});
    disk.Apply({Op::kWrite, 1, 0, "", "bytes", 0});
    disk.Apply({Op::kSync, 1, 0, "/d/upload", "", 0});
    disk.Apply({Op::kRename, 0, 0, "/d/upload", "/d/blob", 0});
    disk.BeginProcess();
    disk.Apply({Op::kFile, 1, 5, found, "", 0});
    disk.Apply({Op::kSync, 1, 0, found, "", 0});
    if (found == "/d/upload") disk.Apply({Op::kRename, 0, 0, "/d/upload", "/d/blob", 0});
    disk.Apply({Op::kSyncDirectory, 0, 0, "/d", "", 0});
    return Left(disk, "/blob");
  }
};

TEST_F(KilledAtRenameTest, TheNameWasThere) { EXPECT_EQ(BlobAfter("/d/blob"), "bytes"); }
TEST_F(KilledAtRenameTest, TheNameWasNotThere) { EXPECT_EQ(BlobAfter("/d/upload"), "bytes"); }

// A process is killed after it announced a write. The next one finds that it was done, or not.
class KilledAtWriteTest : public ::testing::TestWithParam<std::string> {};

TEST_P(KilledAtWriteTest, WhatTheNextProcessFindsIsThere) {
  Disk disk("/d");
  disk.Apply({Op::kFile, 1, 0, "/d/upload", "", 0});
  disk.Apply({Op::kWrite, 1, 0, "", "by", 0});
  disk.Apply({Op::kWrite, 1, 2, "", "tes", 0});
  disk.BeginProcess();
  disk.Apply({Op::kFile, 1, GetParam().size(), "/d/upload", "", 0});
  disk.Apply({Op::kSync, 1, 0, "/d/upload", "", 0});
  disk.Apply({Op::kSyncDirectory, 0, 0, "/d", "", 0});
  EXPECT_EQ(Left(disk, "/upload"), GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, KilledAtWriteTest, ::testing::Values("by", "bytes"));

TEST(DiskTest, WriteThatFailedIsNotThere) {
  Disk disk("/d");
  disk.Apply({Op::kFile, 1, 0, "/d/file", "", 0});
  disk.Apply({Op::kWrite, 1, 0, "", "bytes", 0});
  disk.Apply({Op::kFailed, 0, 0, "", "", 0});
  disk.Apply({Op::kWrite, 1, 0, "", "by", 0});
  disk.Apply({Op::kSync, 1, 0, "/d/file", "", 0});
  disk.Apply({Op::kSyncDirectory, 0, 0, "/d", "", 0});
  EXPECT_EQ(Left(disk, "/file"), "by");
}

// The test itself: a server that leaves out an fsync would be found out.
class ForgottenSyncTest : public PowerLossTest,
                          public ::testing::WithParamInterface<const char*> {};

TEST_P(ForgottenSyncTest, IsFound) {
  Recording recording;
  recording.Run(GetParam(), /*clients=*/2, /*jobs=*/4);
  EXPECT_FALSE(LosePower(recording, /*moments=*/10).empty());
}

INSTANTIATE_TEST_SUITE_P(All, ForgottenSyncTest,
                         ::testing::Values("store", "store-directory", "blobs",
                                           "blob-directories"));

}  // namespace
}  // namespace likeness::testing
