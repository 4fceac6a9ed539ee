// Disks that fail, lie and hang under a server as a process of its own.
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/ids.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"
#include "google/bytestream/bytestream.grpc.pb.h"
#include "likeness/v1/job_service.grpc.pb.h"
#include "server/base/storage_failure.h"
#include "server/server_disk_fixture.h"
#include "tests/support/disk_faults.h"
#include "tests/support/http_get.h"

namespace likeness::testing {
namespace {

TEST_F(ServerDiskTest, FailedFsyncOfTheDatabaseEndsTheServerWhichGoesOnFromWhatIsOnTheDisk) {
  DiskFaults disk(LIKENESS_DISK_FAULTS_LIBRARY, folder_.path(), data_);
  StartServer();
  ASSERT_TRUE(Create("before").ok());
  disk.Set(absl::StrCat("fail-sync jobs.sqlite ", EIO));
  EXPECT_FALSE(Create("meanwhile", /*waits=*/false).ok());
  EXPECT_EQ(server_->Wait(), server::kStorageFailureExitCode);
  disk.Set("");
  StartServer();
  EXPECT_TRUE(Get("before").ok());
  EXPECT_EQ(ErrorReason(Get("meanwhile").status()), "JOB_NOT_FOUND");
  EXPECT_TRUE(Create("after").ok());
  Kill();
  StartServer();
  EXPECT_TRUE(Get("after").ok());
}

TEST_F(ServerDiskTest, FailedWriteToTheDatabaseEndsTheServerAndAFullDiskDoesNot) {
  DiskFaults disk(LIKENESS_DISK_FAULTS_LIBRARY, folder_.path(), data_);
  StartServer();
  ASSERT_TRUE(Create("before").ok());
  for (const int full : {ENOSPC, EDQUOT}) {
    disk.Set(absl::StrCat("fail-write jobs.sqlite ", full));
    EXPECT_EQ(ErrorReason(Create("full").status()), "STORAGE_FULL");
  }
  disk.Set("");
  EXPECT_TRUE(Create("room").ok());
  disk.Set(absl::StrCat("fail-write jobs.sqlite ", EIO));
  EXPECT_FALSE(Create("meanwhile", /*waits=*/false).ok());
  EXPECT_EQ(server_->Wait(), server::kStorageFailureExitCode);
}

// With a kernel that drops what it could not write, an fsync that is repeated "succeeds".
TEST_F(ServerDiskTest, UploadWhoseFsyncFailedBeginsAnew) {
  DiskFaults disk(LIKENESS_DISK_FAULTS_LIBRARY, folder_.path(), data_);
  StartServer();
  (void)Create("job");
  ASSERT_TRUE(worker_.Acquire().ok());
  const std::string bytes(100'000, 'x');
  disk.Set(absl::StrCat("fail-sync /.uploads/ ", EIO));
  EXPECT_TRUE(absl::IsDataLoss(worker_.Upload(bytes).status()));
  EXPECT_TRUE(std::filesystem::is_empty(data_ + "/blobs/.uploads"));
  disk.Set("");
  EXPECT_TRUE(worker_.Upload(bytes).ok());
  EXPECT_EQ(*ReadBlob(Sha256Hex(bytes)), bytes);
}

TEST_F(ServerDiskTest, BlobWhoseNameCouldNotBeMadeDurableIsNotThere) {
  DiskFaults disk(LIKENESS_DISK_FAULTS_LIBRARY, folder_.path(), data_);
  StartServer();
  (void)Create("job");
  ASSERT_TRUE(worker_.Acquire().ok());
  const std::string bytes(1000, 'x');
  const std::string digest = Sha256Hex(bytes);
  disk.Set(absl::StrCat("fail-sync /blobs/default/", digest.substr(0, 2), " ", EIO));
  EXPECT_FALSE(worker_.Upload(bytes).ok());
  EXPECT_EQ(ErrorReason(ReadBlob(digest).status()), "BLOB_NOT_FOUND");
  disk.Set("");
  EXPECT_TRUE(worker_.Upload(bytes).ok());
  EXPECT_EQ(*ReadBlob(digest), bytes);
}

TEST_F(ServerDiskTest, BlobThatAKilledServerLeftIsMadeDurableBeforeAnybodyIsToldOfIt) {
  DiskFaults disk(LIKENESS_DISK_FAULTS_LIBRARY, folder_.path(), data_);
  StartServer();
  (void)Create("job");
  ASSERT_TRUE(worker_.Acquire().ok());
  const std::string bytes(1000, 'x');
  ASSERT_TRUE(worker_.Upload(bytes).ok());
  Kill();  // for all that the next one knows, after the rename and before the fsync
  StartServer();
  disk.Set(absl::StrCat("fail-sync /blobs/default/", Sha256Hex(bytes).substr(0, 2), " ", EIO));
  EXPECT_FALSE(worker_.Upload(bytes).ok());
  disk.Set("");
  EXPECT_TRUE(worker_.Upload(bytes).ok());
}

// An upload in two parts.
class PausedUpload {
 public:
  PausedUpload(std::shared_ptr<grpc::Channel> channel, const std::string& bytes)
      : bytes_(bytes), stub_(google::bytestream::ByteStream::NewStub(channel)) {
    request_.set_resource_name(absl::StrCat("tenants/default/uploads/", RandomUuid(), "/blobs/",
                                            Sha256Hex(bytes), "/", bytes.size()));
    stream_ = stub_->Write(&context_, &response_);
    request_.set_data(bytes.substr(0, bytes.size() / 2));
    stream_->Write(request_);
    google::bytestream::QueryWriteStatusRequest query;
    query.set_resource_name(request_.resource_name());
    google::bytestream::QueryWriteStatusResponse status;
    while (status.committed_size() == 0) {
      grpc::ClientContext context;
      (void)stub_->QueryWriteStatus(&context, query, &status);
    }
  }
  void SendTheRest() {
    request_.set_write_offset(static_cast<int64_t>(bytes_.size() / 2));
    request_.set_data(bytes_.substr(bytes_.size() / 2));
    request_.set_finish_write(true);
    stream_->Write(request_);
    stream_->WritesDone();
  }
  bool IsTaken() { return stream_->Finish().ok(); }

 private:
  const std::string bytes_;
  const std::unique_ptr<google::bytestream::ByteStream::Stub> stub_;
  grpc::ClientContext context_;
  google::bytestream::WriteRequest request_;
  google::bytestream::WriteResponse response_;
  std::unique_ptr<grpc::ClientWriter<google::bytestream::WriteRequest>> stream_;
};

// Which of the two fsyncs fails is chance where both are made at once.
TEST_F(ServerDiskTest, BlobThatOneClientWasToldOfStaysThoughTheFsyncOfAnotherFails) {
  DiskFaults disk(LIKENESS_DISK_FAULTS_LIBRARY, folder_.path(), data_);
  StartServer();
  (void)Create("job");
  ASSERT_TRUE(worker_.Acquire().ok());
  std::vector<std::string> blobs;  // all in one directory, which is durable with the first
  for (int i = 0; blobs.size() < 6; ++i) {
    std::string bytes = absl::StrCat("blob ", i);
    if (Sha256Hex(bytes).starts_with("ab")) blobs.push_back(std::move(bytes));
  }
  for (auto bytes = blobs.begin() + 1; bytes != blobs.end(); ++bytes) {
    ASSERT_TRUE(worker_.Upload(blobs.front()).ok());
    PausedUpload one(channel_, *bytes), other(channel_, *bytes);
    disk.Set("hang /blobs/default/ab");
    one.SendTheRest();
    while (!std::filesystem::exists(PathOf(Sha256Hex(*bytes)))) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    other.SendTheRest();
    absl::SleepFor(absl::Milliseconds(50));  // it comes as far as it may
    disk.Set(absl::StrCat("fail-next-sync /blobs/default/ab ", EIO));
    const bool told = one.IsTaken() | other.IsTaken();
    EXPECT_TRUE(told);
    EXPECT_EQ(ReadBlob(Sha256Hex(*bytes)).value_or("nothing"), *bytes);
    disk.Set("");
  }
}

TEST_F(ServerDiskTest, DiskThatHangsTurnsHealthRedAndBackAgain) {
  DiskFaults disk(LIKENESS_DISK_FAULTS_LIBRARY, folder_.path(), data_);
  const int page = FreePort();
  StartServer({absl::StrCat("--metrics-listen=127.0.0.1:", page), "--disk-timeout=500ms"});
  const auto wait_for = [&](const std::string& body) {
    std::string seen;
    for (int i = 0; i < 2000 && seen.find(body) == std::string::npos; ++i) {
      absl::SleepFor(absl::Milliseconds(10));
      seen = HttpGet(page, "/healthz");
    }
    return seen;
  };
  const auto says = [](const std::string& what) {
    return ::testing::EndsWith("\r\n\r\n" + what + "\n");
  };
  EXPECT_THAT(wait_for("\nok"), says("ok"));
  disk.Set("hang jobs.sqlite");
  EXPECT_THAT(wait_for("disk"), says("the disk does not answer"));
  const std::string metrics = HttpGet(page, "/metrics");
  EXPECT_NE(metrics.find("\nlikeness_ready 0\n"), std::string::npos);
  EXPECT_EQ(metrics.find("\nlikeness_disk_free_bytes 0\n"), std::string::npos)
      << "the first page repeats what was seen at the start";
  EXPECT_THAT(HttpGet(page, "/livez"), says("ok"));
  disk.Set("");
  EXPECT_THAT(wait_for("\nok"), says("ok"));
}

TEST_F(ServerDiskTest, ClientsWhoseUploadsHangLeaveWorkersAndListsTheirThreads) {
  DiskFaults disk(LIKENESS_DISK_FAULTS_LIBRARY, folder_.path(), data_);
  StartServer({"--executor-threads=2"});  // one of them for clients
  ASSERT_TRUE(Create("job").ok());
  const auto lease = worker_.Acquire();
  ASSERT_TRUE(lease.ok());
  const auto ends = [](absl::Duration patience, const auto& call, const auto& request, auto reply) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + patience));
    return call(&context, request, &reply).ok();
  };

  disk.Set("hang /.uploads/");
  const std::string bytes(1000, 'x');
  grpc::ClientContext context;
  google::bytestream::WriteResponse response;
  const auto upload = google::bytestream::ByteStream::NewStub(channel_)->Write(&context, &response);
  google::bytestream::WriteRequest whole;
  whole.set_resource_name(absl::StrCat("tenants/default/uploads/", RandomUuid(), "/blobs/",
                                       Sha256Hex(bytes), "/", bytes.size()));
  whole.set_data(bytes);
  whole.set_finish_write(true);
  ASSERT_TRUE(upload->Write(whole));
  v1::GetJobRequest get;
  get.set_name("tenants/default/jobs/job");
  const auto get_job = std::bind_front(&v1::JobService::Stub::GetJob, jobs_.get());
  while (ends(absl::Milliseconds(500), get_job, get, v1::Job())) {
  }  // until the upload has the thread

  const absl::Duration long_time = absl::Seconds(60);
  v1::HeartbeatRequest news;
  news.set_lease_token(lease->lease_token());
  const auto workers = v1::WorkerService::NewStub(channel_);
  EXPECT_TRUE(ends(long_time, std::bind_front(&v1::WorkerService::Stub::Heartbeat, workers.get()),
                   news, v1::HeartbeatResponse()));
  EXPECT_TRUE(ends(long_time, std::bind_front(&v1::JobService::Stub::ListJobs, jobs_.get()),
                   v1::ListJobsRequest(), v1::ListJobsResponse()));
  disk.Set("");
  EXPECT_TRUE(upload->Finish().ok());
  EXPECT_TRUE(ends(long_time, get_job, get, v1::Job()));
}

// The audit log's lines, by method, each id once.
std::vector<std::string> AuditedMethods(const std::string& path) {
  std::ifstream file(path);
  std::set<std::string> ids;
  std::vector<std::string> methods;
  for (std::string text; std::getline(file, text);) {
    const auto line = nlohmann::json::parse(text);
    if (ids.insert(line["id"]).second) methods.push_back(line["method"]);
  }
  return methods;
}

TEST_F(ServerDiskTest, KilledServerLosesNoAuditLineOfAChange) {
  DiskFaults disk(LIKENESS_DISK_FAULTS_LIBRARY, folder_.path(), folder_.path());
  const std::string audit = folder_.path() + "/audit.jsonl";
  const std::vector<std::string> flags = {"--audit-log=" + audit};
  StartServer(flags);
  disk.Set(absl::StrCat("fail-write audit.jsonl ", ENOSPC));  // it gets no further than the commit
  constexpr int kJobs = 3;
  for (int i = 0; i < kJobs; ++i) ASSERT_TRUE(Create(absl::StrCat("job-", i)).ok());
  Kill();
  EXPECT_THAT(AuditedMethods(audit), ::testing::IsEmpty());
  disk.Set("");
  StartServer(flags);
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0);
  EXPECT_EQ(AuditedMethods(audit), std::vector<std::string>(kJobs, "CreateJob"));
}

TEST_F(ServerDiskTest, KilledServerLosesNoAuditLineOfAnUpload) {
  DiskFaults disk(LIKENESS_DISK_FAULTS_LIBRARY, folder_.path(), folder_.path());
  const std::string audit = folder_.path() + "/audit.jsonl";
  const std::vector<std::string> flags = {"--audit-log=" + audit};
  StartServer(flags);
  ASSERT_TRUE(Create("job").ok());
  ASSERT_TRUE(worker_.Acquire().ok());
  disk.Set(absl::StrCat("fail-write audit.jsonl ", ENOSPC));
  ASSERT_TRUE(worker_.Upload(std::string(1000, 'x')).ok());
  Kill();
  disk.Set("");
  StartServer(flags);
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0);
  EXPECT_EQ(AuditedMethods(audit),
            (std::vector<std::string>{"CreateJob", "AcquireLease", "Write"}));
}

TEST_F(ServerDiskTest, AuditLinesWhoseFsyncFailedAreWrittenAgain) {
  DiskFaults disk(LIKENESS_DISK_FAULTS_LIBRARY, folder_.path(), folder_.path());
  const std::string audit = folder_.path() + "/audit.jsonl";
  StartServer({"--audit-log=" + audit});
  disk.Set(absl::StrCat("fail-sync audit.jsonl ", EIO));
  ASSERT_TRUE(Create("job").ok());
  absl::SleepFor(absl::Milliseconds(600));  // some ticks
  disk.Set("");
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0);
  EXPECT_EQ(AuditedMethods(audit), std::vector<std::string>{"CreateJob"});
}

TEST_F(ServerDiskTest, NameOfThirtyMegabytesMakesAShortAuditLine) {
  const std::string audit = folder_.path() + "/audit.jsonl";
  StartServer({"--audit-log=" + audit});
  grpc::ClientContext context;
  v1::CancelJobRequest request;
  request.set_name(std::string(30 << 20, 'x'));
  v1::Job job;
  EXPECT_EQ(ErrorReason(FromGrpcStatus(jobs_->CancelJob(&context, request, &job))), "INVALID_NAME");
  Kill();
  EXPECT_EQ(AuditedMethods(audit), std::vector<std::string>{"CancelJob"});
  EXPECT_LT(std::filesystem::file_size(audit), 1000u);
}

}  // namespace
}  // namespace likeness::testing
