// What keys are good for, and until when.
#include <map>
#include <set>
#include <thread>

#include "likeness/v1/blob_service.pb.h"
#include "likeness/v1/capabilities_service.pb.h"
#include "likeness/v1/model_service.pb.h"
#include "likeness/v1/operator_service.pb.h"
#include "server/api/tenancy_fixture.h"

namespace likeness::server {
namespace {

using KeysTest = TenancyTest;

using ::likeness::testing::RequestOf;

TEST_F(KeysTest, WithoutAGoodTokenNothingIsAnswered) {
  const std::string changed = acme_.substr(0, acme_.size() - 1) + (acme_.back() == '0' ? "1" : "0");
  const std::string other_id = umbrella_.substr(0, 16) + acme_.substr(16);
  for (const auto* method : AllMethods()) {
    SCOPED_TRACE(method->name());
    const auto request = RequestOf(*method);
    const auto bare = Call("", method->name(), *request).status;
    EXPECT_TRUE(absl::IsUnauthenticated(bare)) << bare;
    EXPECT_EQ(ErrorReason(bare), "TOKEN_MISSING");
    const auto bad = Call(changed, method->name(), *request).status;
    EXPECT_EQ(ErrorReason(bad), "TOKEN_INVALID") << bad;
    EXPECT_EQ(bad.message().find(changed), absl::string_view::npos) << "no secret in an error";
  }
  for (const std::string& token : {other_id, std::string("lk_"), std::string("x"), acme_ + "0"}) {
    EXPECT_EQ(ErrorReason(Call(token, "ListJobs", v1::ListJobsRequest()).status), "TOKEN_INVALID");
  }
}

TEST_F(KeysTest, AuthorizationThatIsNoBearerTokenIsRefused) {
  const v1::ListJobsRequest request;
  const auto call = [&](std::vector<std::pair<std::string, std::string>> metadata) {
    return ErrorReason(CallAny(Channel(""), Method("ListJobs"), request, metadata).status);
  };
  EXPECT_EQ(call({{"authorization", "bearer " + acme_}}), "") << "the scheme has no case";
  EXPECT_EQ(call({{"authorization", "Basic " + acme_}}), "TOKEN_INVALID");
  EXPECT_EQ(call({{"authorization", acme_}}), "TOKEN_INVALID");
  EXPECT_EQ(call({{"authorization", "Bearer " + acme_}, {"authorization", "Bearer " + acme_}}),
            "TOKEN_INVALID");
}

TEST_F(KeysTest, KeysDoWhatTheyAreForAlone) {
  const std::string submit = Key("acme", {Role::kSubmit});
  const std::string read = Key("acme", {Role::kRead});
  server_->server().Reload();
  const std::set<std::string> submits = {
      "UpdateModel",    "GetBlob",          "CreateUpload", "UploadPart",       "CompleteUpload",
      "UpdateJob",      "CancelJobs",       "CreateJob",    "CancelJob",        "RetryJob",
      "GenerateImages", "FindMissingBlobs", "Write",        "QueryWriteStatus", "GetCapabilities",
      "ListBaseModels", "GetBaseModel"};
  const std::set<std::string> reads = {
      "GetBlob",         "WatchJobs",      "ListJobEvents", "GetJob",   "ListJobs",
      "WaitJob",         "WatchJob",       "ListModels",    "GetModel", "Read",
      "GetCapabilities", "ListBaseModels", "GetBaseModel"};
  const std::set<std::string> works = {"AcquireLease",   "Heartbeat",        "CompleteLease",
                                       "FailLease",      "ReleaseLease",     "Read",
                                       "Write",          "QueryWriteStatus", "GetCapabilities",
                                       "ListBaseModels", "GetBaseModel"};
  const std::set<std::string> operates = {"ListWorkers", "DrainWorker", "UndrainWorker",
                                          "GetQueue"};
  for (const auto* method : AllMethods()) {
    const auto may = [&](const std::string& key) {
      // The first message tells: a stream of pictures that nobody draws would go on to its
      // deadline.
      auto request = RequestOf(*method);
      // A watch of all jobs would tell nothing for a while.
      if (method->name() == "WatchJobs") Set(*request, "resume_token", "wrong");
      const auto answer = Call(key, method->name(), *request, "", 1);
      return ErrorReason(answer.status) != "ROLE_MISSING";
    };
    EXPECT_EQ(may(submit), submits.count(method->name()) == 1) << method->name();
    EXPECT_EQ(may(read), reads.count(method->name()) == 1) << method->name();
    EXPECT_EQ(may(worker_), works.count(method->name()) == 1) << method->name();
    const bool tenants_own =
        method->service()->name() != "WorkerService" && operates.count(method->name()) == 0;
    EXPECT_EQ(may(acme_), tenants_own) << method->name();
  }
}

TEST_F(KeysTest, WorkerTouchesBlobsOfTheJobThatItHoldsAlone) {
  ASSERT_TRUE(Upload(acme_, "acme", "acme's photo").ok());
  ASSERT_TRUE(Upload(umbrella_, "umbrella", "umbrella's photo").ok());
  (void)Create(acme_, PictureJob());
  FakeWorker worker(Channel(worker_));
  const auto lease = worker.Acquire();
  ASSERT_TRUE(lease.ok()) << lease.status();
  const std::string token = lease->lease_token();
  const auto read = [&](const std::string& tenant, const std::string& bytes,
                        const std::string& lease_token) {
    google::bytestream::ReadRequest request;
    request.set_resource_name(BlobName{tenant, Sha256Hex(bytes)}.ToString());
    return ErrorReason(Call(worker_, "Read", request, lease_token).status);
  };
  EXPECT_EQ(read("acme", "acme's photo", ""), "LEASE_MISSING");
  EXPECT_EQ(read("acme", "acme's photo", "1.guessed"), "LEASE_LOST");
  EXPECT_EQ(read("acme", "acme's photo", token), "");
  EXPECT_EQ(read("umbrella", "umbrella's photo", token), "BLOB_NOT_FOUND");
  EXPECT_EQ(ErrorReason(Upload(worker_, "umbrella", "x", token)), "TENANT_NOT_FOUND");
  EXPECT_TRUE(Upload(worker_, "acme", "picture", token).ok());

  // Nor can it hand a job blobs that are not the job's tenant's.
  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token(token);
  auto& output = *outcome.add_outputs();
  output.set_path("1.png");
  output.set_blob(BlobName{"umbrella", Sha256Hex("umbrella's photo")}.ToString());
  EXPECT_EQ(ErrorReason(worker.Complete(outcome)), "BLOB_NOT_FOUND");
  output.set_blob(BlobName{"acme", Sha256Hex("picture")}.ToString());
  EXPECT_TRUE(worker.Complete(outcome).ok());
  EXPECT_TRUE(worker.Complete(outcome).ok()) << "repeating it is fine";
  EXPECT_EQ(read("acme", "acme's photo", token), "LEASE_LOST");
}

TEST_F(KeysTest, RevokedKeyIsRefusedAndItsWatchEnds) {
  const auto job = Create(acme_, PictureJob());
  const std::string other = Key("acme", {Role::kAdmin});
  grpc::ClientContext context;
  v1::WatchJobRequest watch;
  watch.set_name(job.name());
  const auto jobs = v1::JobService::NewStub(Channel(acme_));
  const auto stream = jobs->WatchJob(&context, watch);
  v1::JobEvent event;
  ASSERT_TRUE(stream->Read(&event));

  ASSERT_TRUE(RevokeKey(auth_file_, std::string(KeyIdOf(acme_))).ok());
  server_->server().Reload();
  EXPECT_EQ(ErrorReason(Call(acme_, "ListJobs", v1::ListJobsRequest()).status), "TOKEN_INVALID");
  v1::CancelJobRequest cancel;  // so that there is something to tell
  cancel.set_name(job.name());
  ASSERT_TRUE(Call(other, "CancelJob", cancel).status.ok());
  EXPECT_FALSE(stream->Read(&event)) << event.DebugString();
  EXPECT_EQ(ErrorReason(FromGrpcStatus(stream->Finish())), "TOKEN_INVALID");
}

TEST_F(KeysTest, CallsThatWaitEndWithNothingWhenTheirKeyIsRevoked) {
  const auto job = Create(acme_, PictureJob());
  const std::string other = Key("acme", {Role::kAdmin});
  v1::WaitJobRequest wait;
  wait.set_name(job.name());
  wait.mutable_timeout()->set_seconds(60);
  absl::Status waited;
  std::thread waiting([&] { waited = Call(acme_, "WaitJob", wait).status; });
  WaitForMetric("likeness_rpc_under_way{method=\"WaitJob\"} 1\n");
  ASSERT_TRUE(RevokeKey(auth_file_, std::string(KeyIdOf(acme_))).ok());
  server_->server().Reload();
  v1::CancelJobRequest cancel;  // what it waits for
  cancel.set_name(job.name());
  EXPECT_TRUE(Call(other, "CancelJob", cancel).status.ok());
  waiting.join();
  EXPECT_EQ(ErrorReason(waited), "TOKEN_INVALID");
}

TEST_F(KeysTest, UploadStopsWhereItsKeyIsRevoked) {
  google::bytestream::WriteRequest chunk;
  chunk.set_resource_name(UploadName{"acme", RandomUuid(), Sha256Hex("more"), 4}.ToString());
  chunk.set_data("mo");
  grpc::ClientContext context;
  google::bytestream::WriteResponse reply;
  const auto bytes = google::bytestream::ByteStream::NewStub(Channel(acme_));
  const auto stream = bytes->Write(&context, &reply);
  ASSERT_TRUE(stream->Write(chunk));
  WaitForMetric("likeness_uploaded_bytes_total 2\n");
  ASSERT_TRUE(RevokeKey(auth_file_, std::string(KeyIdOf(acme_))).ok());
  server_->server().Reload();
  chunk.set_write_offset(2);
  chunk.set_data("re");
  chunk.set_finish_write(true);
  stream->Write(chunk);
  stream->WritesDone();
  EXPECT_EQ(ErrorReason(FromGrpcStatus(stream->Finish())), "TOKEN_INVALID");
}

TEST_F(KeysTest, ManyBadTokensAreAnsweredWithWaitAndGoodOnesStillServed) {
  std::map<std::string, int> reasons;
  const auto bad = Channel("bad");
  for (int i = 0; i < 2000 && reasons["TOO_MANY_FAILURES"] == 0; ++i) {
    ++reasons[ErrorReason(CallAny(bad, Method("ListJobs"), v1::ListJobsRequest()).status)];
  }
  EXPECT_GE(reasons["TOKEN_INVALID"], 100);
  EXPECT_EQ(reasons["TOO_MANY_FAILURES"], 1);
  EXPECT_EQ(reasons.size(), 2u);
  EXPECT_TRUE(Call(acme_, "ListJobs", v1::ListJobsRequest()).status.ok());
  const std::string page = MetricsPage();
  EXPECT_THAT(page,
              ::testing::HasSubstr(absl::StrCat("likeness_refused_total{reason=\"TOKEN_INVALID\"} ",
                                                reasons["TOKEN_INVALID"])));
}

TEST_F(KeysTest, ChangedFileIsNoticedWithoutASignal) {
  const std::string fresh = Key("initech", {Role::kRead});
  const auto known = [&] { return Call(fresh, "ListJobs", v1::ListJobsRequest()).status.ok(); };
  for (int i = 0; i < 600 && !known(); ++i) absl::SleepFor(absl::Milliseconds(50));
  EXPECT_TRUE(known());
}

TEST_F(KeysTest, BrokenFileLeavesTheOneBefore) {
  std::ofstream(auth_file_) << "{\"keys\": [{]}";
  server_->server().Reload();
  EXPECT_TRUE(Call(acme_, "ListJobs", v1::ListJobsRequest()).status.ok());
  std::ofstream(auth_file_) << "{\"keys\": []}";
  server_->server().Reload();
  EXPECT_EQ(ErrorReason(Call(acme_, "ListJobs", v1::ListJobsRequest()).status), "TOKEN_INVALID");
}

TEST_F(KeysTest, ServerDoesNotStartOnABrokenFile) {
  const std::string broken = folder_.path() + "/broken.json";
  std::ofstream(broken) << "{\"keys\": [{\"id\": \"a\"}]}";
  for (const std::string& file : {broken, folder_.path() + "/missing.json"}) {
    auto options = TestOptions(folder_.path() + "/more");
    options.auth_file = file;
    EXPECT_FALSE(Server::Start(options).ok()) << file;
  }
}

}  // namespace
}  // namespace likeness::server
