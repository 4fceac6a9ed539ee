// Disks that fail, lie, hang and forget, under a server as a process of its own.
#include <signal.h>
#include <sqlite3.h>

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
#include "gtest/gtest.h"
#include "likeness/v1/job_service.grpc.pb.h"
#include "server/base/storage_failure.h"
#include "tests/support/disk_faults.h"
#include "tests/support/fake_worker.h"
#include "tests/support/http_get.h"
#include "tests/support/server_process.h"
#include "tests/support/test_photos.h"
#include "tests/support/test_server.h"

namespace likeness::testing {
namespace {

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
    grpc::ClientContext context;
    context.set_wait_for_ready(waits);
    v1::CreateJobRequest request = PictureJob();
    request.set_job_id(id);
    v1::Job job;
    const auto status = FromGrpcStatus(jobs_->CreateJob(&context, request, &job));
    if (!status.ok()) return status;
    return job;
  }

  absl::StatusOr<v1::Job> Get(const std::string& id) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    v1::GetJobRequest request;
    request.set_name("tenants/default/jobs/" + id);
    v1::Job job;
    const auto status = FromGrpcStatus(jobs_->GetJob(&context, request, &job));
    if (!status.ok()) return status;
    return job;
  }

  absl::StatusOr<std::string> ReadBlob(const std::string& digest, int64_t offset = 0,
                                       int64_t limit = 0) {
    grpc::ClientContext context;
    google::bytestream::ReadRequest request;
    request.set_resource_name("tenants/default/blobs/" + digest);
    request.set_read_offset(offset);
    request.set_read_limit(limit);
    auto stream = google::bytestream::ByteStream::NewStub(channel_)->Read(&context, request);
    std::string read;
    for (google::bytestream::ReadResponse piece; stream->Read(&piece);) read += piece.data();
    const auto status = FromGrpcStatus(stream->Finish());
    if (!status.ok()) return status;
    return read;
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

class DamageTest : public ServerDiskTest {
 protected:
  // Uploads a blob of several pieces and returns its digest.
  std::string StoreBlob(const std::string& bytes) {
    (void)Create("job");
    EXPECT_TRUE(worker_.Acquire().ok());
    EXPECT_TRUE(worker_.Upload(bytes).ok());
    return Sha256Hex(bytes);
  }
};

TEST_F(DamageTest, FlippedBitOfABlobIsFoundByWhoeverReadsAnyPartOfIt) {
  StartServer();
  const std::string bytes(3 << 20, 'b');
  const std::string digest = StoreBlob(bytes);
  struct Range {
    int64_t offset, limit;
  };
  for (const Range& range :
       std::vector<Range>{{0, 0}, {2 << 20, 0}, {0, 1000}, {2 << 20, 1000}, {3 << 20, 0}}) {
    const int64_t end = range.limit > 0 ? range.offset + range.limit : 3 << 20;
    EXPECT_EQ(*ReadBlob(digest, range.offset, range.limit),
              bytes.substr(range.offset, end - range.offset));
    Kill();  // what it found whole a moment ago it would not read again for a part
    FlipBit(PathOf(digest), 1'500'000);
    StartServer();
    const auto read = ReadBlob(digest, range.offset, range.limit);
    EXPECT_EQ(ErrorReason(read.status()), "BLOB_DAMAGED") << range.offset << " " << read.status();
    EXPECT_FALSE(std::filesystem::exists(PathOf(digest))) << "set aside";
    EXPECT_TRUE(worker_.Upload(bytes).ok()) << "and mended by the next upload";
  }
}

TEST_F(DamageTest, CutBlobIsFoundEvenWhereNothingIsLeft) {
  StartServer();
  const std::string bytes(1 << 20, 'b');
  const std::string digest = StoreBlob(bytes);
  for (const int64_t left : {0, 1000, (1 << 20) - 1}) {
    std::filesystem::resize_file(PathOf(digest), left);
    EXPECT_EQ(ErrorReason(ReadBlob(digest, left == 1000 ? 5000 : 0).status()), "BLOB_DAMAGED");
    EXPECT_TRUE(worker_.Upload(bytes).ok());
  }
}

TEST_F(DamageTest, FlippedBitOfARecordIsDataLossForThatJobAndOthersGoOn) {
  StartServer();
  constexpr int kJobs = 30;
  for (int i = 0; i < kJobs; ++i) ASSERT_TRUE(Create(absl::StrCat("job-", i)).ok());
  Kill();
  StartServer();  // brings all from the log into the database
  Kill();
  // The pages of the records alone, as SQLite counts them.
  std::vector<int64_t> pages;
  {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open_v2(store_.c_str(), &database, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
    sqlite3_stmt* query = nullptr;
    ASSERT_EQ(
        sqlite3_prepare_v2(database,
                           "SELECT pageno FROM dbstat WHERE name = 'jobs' AND pagetype = 'leaf'"
                           " ORDER BY path",
                           -1, &query, nullptr),
        SQLITE_OK);
    while (sqlite3_step(query) == SQLITE_ROW) pages.push_back(sqlite3_column_int64(query, 0));
    sqlite3_finalize(query);
    sqlite3_close(database);
  }
  ASSERT_GT(pages.size(), 2u);
  FlipBit(store_, (pages.front() - 1) * 4096 + 3000);  // that of the oldest job
  const int metrics = FreePort();
  StartServer({absl::StrCat("--metrics-listen=127.0.0.1:", metrics)});
  EXPECT_EQ(ErrorReason(Get("job-0").status()), "STORE_DAMAGED");
  EXPECT_TRUE(absl::IsDataLoss(Get("job-0").status()));
  const std::string page = HttpGet(metrics, "/metrics");
  EXPECT_EQ(page.find("\nlikeness_damaged_pages 0\n"), std::string::npos) << "counted";
  std::set<std::string> readable;
  for (int i = 0; i < kJobs; ++i) {
    if (Get(absl::StrCat("job-", i)).ok()) readable.insert(absl::StrCat("job-", i));
  }
  // Pages hold a few jobs each.
  EXPECT_GE(readable.size(), kJobs / 2u);
  EXPECT_LT(readable.size(), size_t{kJobs});
  std::set<std::string> listed;
  grpc::ClientContext context;
  v1::ListJobsRequest list;
  list.set_page_size(100);
  v1::ListJobsResponse jobs;
  const auto status = FromGrpcStatus(jobs_->ListJobs(&context, list, &jobs));
  EXPECT_TRUE(status.ok()) << status;
  for (const v1::Job& job : jobs.jobs()) listed.insert(ParseJobName(job.name())->id);
  EXPECT_EQ(listed, readable);
  // Work goes on: those that cannot be read are passed over, and so are those on the page beside,
  // whose records cannot grow without the damaged one.
  EXPECT_TRUE(Create("another").ok());
  std::set<std::string> done;
  while (true) {
    const auto lease = worker_.Acquire(absl::ZeroDuration());
    if (!lease.ok()) break;
    done.insert(ParseJobName(lease->job().name())->id);
    EXPECT_TRUE(worker_.Complete(lease->lease_token()).ok());
  }
  EXPECT_EQ(done.count("another"), 1u);
  EXPECT_GT(done.size(), readable.size() / 2);
  for (const std::string& id : readable) EXPECT_TRUE(Get(id).ok()) << id;
}

TEST_F(DamageTest, DatabaseThatIsGoneOrCutIsNamedAtTheStart) {
  StartServer();
  ASSERT_TRUE(Create("job").ok());
  Kill();
  StartServer();  // brings all from the log into the database
  Kill();
  for (const char* rest : {"-wal", "-shm"}) std::filesystem::remove(store_ + rest);
  for (const uintmax_t left : {uintmax_t{50'000}, uintmax_t{5000}, uintmax_t{0}}) {
    std::filesystem::resize_file(store_, left);
    auto options = TestOptions(data_);
    const auto status = server::Server::Start(options).status();
    EXPECT_EQ(ErrorReason(status), "STORE_DAMAGED") << status;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("jobs.sqlite"));
  }
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
