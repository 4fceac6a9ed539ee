// Several tenants on one server: each sees its own things alone, and each key does what it is for.
// Every method of the contract is tried, found by reflection: one without a row here fails.
#include <atomic>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "common/channel.h"
#include "common/digest.h"
#include "common/error_details.h"
#include "common/ids.h"
#include "common/job_spec.h"
#include "likeness/v1/blob_service.pb.h"
#include "likeness/v1/capabilities_service.pb.h"
#include "likeness/v1/model_service.pb.h"
#include "likeness/v1/operator_service.pb.h"
#include "server/api/service_fixture.h"
#include "server/auth/auth_file.h"
#include "server/auth/method_rules.h"
#include "tests/support/any_call.h"
#include "tests/support/http_get.h"

namespace likeness::server {
namespace {

using ::google::protobuf::Message;
using ::google::protobuf::MethodDescriptor;
using ::likeness::testing::AllMethods;
using ::likeness::testing::Answer;
using ::likeness::testing::CallAny;
using ::likeness::testing::ChannelTo;
using ::likeness::testing::RequestOf;
using ::likeness::testing::TempFolder;
using ::likeness::testing::TestOptions;

// A tenant's things, as names.
struct Things {
  std::string tenant;
  std::string job;
  std::string model;
  std::string blob;
  std::string upload;
};

const MethodDescriptor& Method(const std::string& name) {
  for (const auto* method : AllMethods()) {
    if (method->name() == name) return *method;
  }
  ADD_FAILURE() << name;
  std::abort();
}

// Sets a string field of any message.
void Set(Message& message, const std::string& field, const std::string& value) {
  const auto* found = message.GetDescriptor()->FindFieldByName(field);
  ASSERT_NE(found, nullptr) << field;
  if (found->is_repeated()) return message.GetReflection()->AddString(&message, found, value);
  message.GetReflection()->SetString(&message, found, value);
}

class TenancyTest : public ::testing::Test {
 protected:
  TenancyTest() {
    acme_ = Key("acme", {Role::kAdmin});
    umbrella_ = Key("umbrella", {Role::kAdmin});
    worker_ = Key("", {Role::kWorker});
    auto options = TestOptions(folder_.path() + "/data");
    options.auth_file = auth_file_;
    options.audit_log = audit_log_;
    server_ = std::make_unique<TestServer>(options);
    (void)FakeWorker(Channel(worker_)).Acquire(absl::ZeroDuration());  // offers its models
  }

  std::string Key(const std::string& tenant, Roles roles) {
    const auto made = CreateKey(auth_file_, {.tenant = tenant, .roles = roles});
    EXPECT_TRUE(made.ok()) << made.status();
    return made->secret;
  }

  std::shared_ptr<grpc::Channel> Channel(const std::string& token) {
    return ChannelTo(server_->server().port(), token);
  }

  Answer Call(const std::string& token, const std::string& method, const Message& request,
              const std::string& lease = "", size_t enough = 1000) {
    std::vector<std::pair<std::string, std::string>> metadata;
    if (!lease.empty()) metadata.emplace_back(kLeaseMetadata, lease);
    return CallAny(Channel(token), Method(method), request, metadata, enough);
  }

  v1::Job Create(const std::string& token, const v1::CreateJobRequest& request) {
    const auto answer = Call(token, "CreateJob", request);
    EXPECT_TRUE(answer.status.ok()) << answer.status;
    return dynamic_cast<const v1::Job&>(*answer.messages.at(0));
  }

  // Stores bytes with one request.
  absl::Status Upload(const std::string& token, const std::string& tenant, const std::string& bytes,
                      const std::string& lease = "") {
    google::bytestream::WriteRequest write;
    write.set_resource_name(
        UploadName{tenant, RandomUuid(), Sha256Hex(bytes), static_cast<int64_t>(bytes.size())}
            .ToString());
    write.set_data(bytes);
    write.set_finish_write(true);
    return Call(token, "Write", write, lease).status;
  }

  std::string MetricsPage() {
    return likeness::testing::HttpGet(server_->server().metrics_port(), "/metrics");
  }

  void WaitForMetric(const std::string& line) {
    while (!absl::StrContains(MetricsPage(), line)) absl::SleepFor(absl::Milliseconds(5));
  }

  // Things of acme that are there: a job, the model that it made, a blob and half an upload.
  Things Make() {
    Things made{.tenant = "acme"};
    auto dog = DogJob();
    dog.mutable_job()->mutable_fine_tune()->set_output_model_id("rex");
    made.job = Create(acme_, dog).name();
    made.model = "tenants/acme/models/rex";
    FakeWorker worker(Channel(worker_));
    EXPECT_TRUE(worker.Complete(worker.Acquire()->lease_token()).ok());
    const std::string bytes = "acme's own";
    EXPECT_TRUE(Upload(acme_, "acme", bytes).ok());
    made.blob = BlobName{"acme", Sha256Hex(bytes)}.ToString();
    made.upload = UploadName{"acme", RandomUuid(), Sha256Hex("more"), 4}.ToString();
    google::bytestream::WriteRequest write;
    write.set_resource_name(made.upload);
    write.set_data("mo");
    EXPECT_TRUE(Call(acme_, "Write", write).status.ok());
    return made;
  }

  // What the audit log says once the server is gone: lines that commit with a change are in the
  // file within a second, or then.
  std::vector<std::string> Recorded(std::string* whole) {
    server_.reset();
    std::ifstream file(audit_log_);
    std::vector<std::string> said;
    for (std::string text; std::getline(file, text); *whole += text) {
      const auto line = nlohmann::json::parse(text);
      EXPECT_EQ(line["peer"], "ipv4:127.0.0.1");
      const std::string reason = line.count("reason") ? line["reason"].get<std::string>() : "OK";
      said.push_back(absl::StrCat(line["caller"].get<std::string>(), " ",
                                  line["tenant"].get<std::string>(), " ",
                                  line["method"].get<std::string>(), " ",
                                  line["resource"].get<std::string>(), " ", reason));
    }
    return said;
  }

  // Things that nobody has.
  static Things Imagined() {
    return {.tenant = "nobody",
            .job = "tenants/nobody/jobs/dream",
            .model = "tenants/nobody/models/dream",
            .blob = BlobName{"nobody", Sha256Hex("dream")}.ToString(),
            .upload = UploadName{"nobody", RandomUuid(), Sha256Hex("dream"), 5}.ToString()};
  }

  TempFolder folder_;
  const std::string auth_file_ = folder_.path() + "/auth.json";
  const std::string audit_log_ = folder_.path() + "/audit.jsonl";
  std::string acme_, umbrella_, worker_;
  std::unique_ptr<TestServer> server_;
};

// How a method names what it is about, and how it refuses what is another tenant's.
struct Row {
  std::function<void(Message&, const Things&)> name;
  std::string reason;
};

Row Named(const std::string& field, std::string Things::*thing, const std::string& reason) {
  return {[=](Message& request, const Things& things) { Set(request, field, things.*thing); },
          reason};
}

Row Parent() {
  return {[](Message& request, const Things& things) {
            Set(request, "parent", "tenants/" + things.tenant);
          },
          "TENANT_NOT_FOUND"};
}

Row OnlyWorkers() {
  return {[](Message&, const Things&) {}, "ROLE_MISSING"};
}

Row OnlyOperators() { return OnlyWorkers(); }

const std::map<std::string, Row>& Rows() {
  static const auto& rows = *new std::map<std::string, Row>{
      {"CreateJob", Parent()},
      {"GetJob", Named("name", &Things::job, "JOB_NOT_FOUND")},
      {"ListJobs", Parent()},
      {"UpdateJob",
       {[](Message& request, const Things& things) {
          dynamic_cast<v1::UpdateJobRequest&>(request).mutable_job()->set_name(things.job);
        },
        "JOB_NOT_FOUND"}},
      {"CancelJobs", Parent()},
      {"DeleteJobs", Parent()},
      {"WatchJobs", Parent()},
      {"ListJobEvents", Named("parent", &Things::job, "JOB_NOT_FOUND")},
      {"CancelJob", Named("name", &Things::job, "JOB_NOT_FOUND")},
      {"RetryJob", Named("name", &Things::job, "JOB_NOT_FOUND")},
      {"DeleteJob", Named("name", &Things::job, "JOB_NOT_FOUND")},
      {"WaitJob", Named("name", &Things::job, "JOB_NOT_FOUND")},
      {"WatchJob", Named("name", &Things::job, "JOB_NOT_FOUND")},
      {"GenerateImages", Parent()},
      {"ListModels", Parent()},
      {"GetModel", Named("name", &Things::model, "MODEL_NOT_FOUND")},
      {"DeleteModel", Named("name", &Things::model, "MODEL_NOT_FOUND")},
      {"ListBaseModels", {[](Message&, const Things&) {}, ""}},
      {"GetBaseModel", {[](Message&, const Things&) {}, "INVALID_NAME"}},
      {"GetCapabilities", {[](Message&, const Things&) {}, ""}},
      {"FindMissingBlobs", Named("blobs", &Things::blob, "INVALID_NAME")},
      {"Read", Named("resource_name", &Things::blob, "BLOB_NOT_FOUND")},
      {"Write", Named("resource_name", &Things::upload, "TENANT_NOT_FOUND")},
      {"QueryWriteStatus", Named("resource_name", &Things::upload, "UPLOAD_NOT_FOUND")},
      {"AcquireLease", OnlyWorkers()},
      {"Heartbeat", OnlyWorkers()},
      {"CompleteLease", OnlyWorkers()},
      {"FailLease", OnlyWorkers()},
      {"ReleaseLease", OnlyWorkers()},
      {"EraseJob", Named("name", &Things::job, "JOB_NOT_FOUND")},
      {"EraseModel", Named("name", &Things::model, "MODEL_NOT_FOUND")},
      {"UpdateModel",
       {[](Message& request, const Things& things) {
          dynamic_cast<v1::UpdateModelRequest&>(request).mutable_model()->set_name(things.model);
        },
        "MODEL_NOT_FOUND"}},
      {"GetBlob", Named("name", &Things::blob, "BLOB_NOT_FOUND")},
      {"CreateUpload", Parent()},
      {"UploadPart", Named("name", &Things::upload, "UPLOAD_NOT_FOUND")},
      {"CompleteUpload", Named("name", &Things::upload, "UPLOAD_NOT_FOUND")},
      {"ListWorkers", OnlyOperators()},
      {"DrainWorker", OnlyOperators()},
      {"UndrainWorker", OnlyOperators()},
      {"GetQueue", OnlyOperators()},
      {"GetUsage", Parent()},
  };
  return rows;
}

TEST(MethodRulesTest, EveryMethodHasOneRuleAndOneRow) {
  std::multiset<std::string> methods, rules, rows;
  for (const auto* method : AllMethods()) methods.insert(method->name());
  for (const auto& rule : MethodRules()) rules.insert(std::string(rule.method));
  for (const auto& [method, row] : Rows()) rows.insert(method);
  EXPECT_GT(methods.size(), 20u);
  EXPECT_EQ(rules, methods);
  EXPECT_EQ(rows, methods);
}

TEST(MethodRulesTest, MethodWithoutRuleIsClosed) {
  EXPECT_EQ(ErrorReason(CheckMayCall(Caller(), "DropEverything")), "ROLE_MISSING");
}

TEST_F(TenancyTest, ThingsOfAnotherTenantAreAsIfTheyWereNotThere) {
  const Things real = Make();
  const Things imagined = Imagined();
  for (const auto& [method, row] : Rows()) {
    SCOPED_TRACE(method);
    const auto ask = [&](const Things& things) {
      auto request = RequestOf(Method(method));
      row.name(*request, things);
      return Call(umbrella_, method, *request);
    };
    const Answer theirs = ask(real);
    EXPECT_EQ(ErrorReason(theirs.status), row.reason) << theirs.status;
    // The very same words, whether it is there or not.
    const auto neutral = [](absl::string_view message, const Things& things) {
      return absl::StrReplaceAll(message, {{things.job, "THING"},
                                           {things.model, "THING"},
                                           {things.blob, "THING"},
                                           {things.upload, "THING"},
                                           {things.tenant, "THING"}});
    };
    const Answer nobodys = ask(imagined);
    EXPECT_EQ(neutral(theirs.status.message(), real), neutral(nobodys.status.message(), imagined));
    for (const auto& message : theirs.messages) {
      EXPECT_THAT(message->DebugString(), ::testing::Not(::testing::HasSubstr("acme")));
    }
  }
  // It was all there, and all of it still is.
  v1::GetJobRequest job;
  job.set_name(real.job);
  EXPECT_TRUE(Call(acme_, "GetJob", job).status.ok());
  v1::GetModelRequest model;
  model.set_name(real.model);
  EXPECT_TRUE(Call(acme_, "GetModel", model).status.ok());
  google::bytestream::ReadRequest read;
  read.set_resource_name(real.blob);
  EXPECT_TRUE(Call(acme_, "Read", read).status.ok());
  google::bytestream::QueryWriteStatusRequest query;
  query.set_resource_name(real.upload);
  EXPECT_TRUE(Call(acme_, "QueryWriteStatus", query).status.ok());
}

TEST_F(TenancyTest, JobsCannotUseThingsOfAnotherTenant) {
  const Things real = Make();
  auto photo = DogJob();
  MutableSubjectOf(*photo.mutable_job()->mutable_fine_tune())
      .mutable_photos(0)
      ->set_blob(real.blob);
  EXPECT_EQ(ErrorReason(Call(umbrella_, "CreateJob", photo).status), "BLOB_NOT_FOUND");
  auto picture = PictureJob();
  picture.mutable_job()->mutable_generate()->mutable_model()->set_name(real.model);
  EXPECT_EQ(ErrorReason(Call(umbrella_, "CreateJob", picture).status), "MODEL_NOT_FOUND");
}

TEST_F(TenancyTest, OperatorSeesQueueAndUsageOfAllTenantsAndNoJobs) {
  const std::string operators = Key("house", {Role::kOperator});
  server_->server().Reload();
  const Things real = Make();
  Create(acme_, PictureJob());
  const auto queue = Call(operators, "GetQueue", v1::GetQueueRequest());
  ASSERT_TRUE(queue.status.ok()) << queue.status;
  EXPECT_EQ(dynamic_cast<const v1::GetQueueResponse&>(*queue.messages.at(0)).groups(0).tenant(),
            "tenants/acme");
  v1::GetUsageRequest request;
  request.set_parent("tenants/acme");
  const auto usage = Call(operators, "GetUsage", request);
  ASSERT_TRUE(usage.status.ok()) << usage.status;
  const auto& told = dynamic_cast<const v1::GetUsageResponse&>(*usage.messages.at(0));
  EXPECT_EQ(told.days(0).ended_jobs(), 1);
  EXPECT_GT(told.stored_bytes(), 0);
  EXPECT_EQ(ErrorReason(Call(operators, "ListJobs", v1::ListJobsRequest()).status), "ROLE_MISSING");
}

TEST_F(TenancyTest, EachTenantHasItsOwnNamesRequestsAndLists) {
  auto request = PictureJob();
  request.set_job_id("same");
  request.set_request_id("same");
  EXPECT_EQ(Create(acme_, request).name(), "tenants/acme/jobs/same");
  EXPECT_EQ(Create(umbrella_, request).name(), "tenants/umbrella/jobs/same");
  const auto listed = Call(umbrella_, "ListJobs", v1::ListJobsRequest());
  const auto& jobs = dynamic_cast<const v1::ListJobsResponse&>(*listed.messages.at(0));
  ASSERT_EQ(jobs.jobs_size(), 1);
  EXPECT_EQ(jobs.jobs(0).name(), "tenants/umbrella/jobs/same");
  const auto told = Call(umbrella_, "GetCapabilities", v1::GetCapabilitiesRequest());
  EXPECT_EQ(dynamic_cast<const v1::Capabilities&>(*told.messages.at(0)).tenant(), "umbrella");
}

TEST_F(TenancyTest, PageAndResumeTokensAreGoodForTheirTenantAlone) {
  v1::WatchJobRequest watch;
  for (const auto& key : {acme_, umbrella_}) {
    for (const char* id : {"a", "b"}) {
      auto request = PictureJob();
      request.set_job_id(id);
      watch.set_name(Create(key, request).name());
    }
  }
  v1::ListJobsRequest list;
  list.set_page_size(1);
  const auto page = Call(acme_, "ListJobs", list);
  list.set_page_token(
      dynamic_cast<const v1::ListJobsResponse&>(*page.messages.at(0)).next_page_token());
  ASSERT_FALSE(list.page_token().empty());
  EXPECT_TRUE(Call(acme_, "ListJobs", list).status.ok());
  EXPECT_EQ(ErrorReason(Call(umbrella_, "ListJobs", list).status), "INVALID_PAGE_TOKEN");

  const auto seen = Call(umbrella_, "WatchJob", watch, "", 1);
  watch.set_resume_token(dynamic_cast<const v1::JobEvent&>(*seen.messages.at(0)).resume_token());
  watch.set_name("tenants/acme/jobs/b");
  EXPECT_EQ(ErrorReason(Call(acme_, "WatchJob", watch).status), "RESUME_TOKEN_INVALID");
}

TEST_F(TenancyTest, WithoutAGoodTokenNothingIsAnswered) {
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

TEST_F(TenancyTest, AuthorizationThatIsNoBearerTokenIsRefused) {
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

TEST_F(TenancyTest, KeysDoWhatTheyAreForAlone) {
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

TEST_F(TenancyTest, WorkerTouchesBlobsOfTheJobThatItHoldsAlone) {
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

TEST_F(TenancyTest, RevokedKeyIsRefusedAndItsWatchEnds) {
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

TEST_F(TenancyTest, CallsThatWaitEndWithNothingWhenTheirKeyIsRevoked) {
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

TEST_F(TenancyTest, UploadStopsWhereItsKeyIsRevoked) {
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

TEST_F(TenancyTest, EveryJobOfABulkChangeAndTheErasedModelAreWrittenDown) {
  const Things made = Make();
  auto drawing = PictureJob();
  drawing.mutable_job()->mutable_generate()->mutable_model()->set_name(made.model);
  const std::string first = Create(acme_, drawing).name();
  const std::string second = Create(acme_, drawing).name();
  v1::CancelJobsRequest cancel;
  cancel.set_filter("state = PENDING");
  EXPECT_TRUE(Call(acme_, "CancelJobs", cancel).status.ok());
  EXPECT_FALSE(Call(acme_, "DeleteJobs", v1::DeleteJobsRequest()).status.ok());
  v1::DeleteJobsRequest remove;
  remove.set_filter("state = CANCELLED");
  EXPECT_TRUE(Call(acme_, "DeleteJobs", remove).status.ok());
  const std::string third = Create(acme_, drawing).name();
  EXPECT_TRUE(Call(acme_, "CancelJobs", cancel).status.ok());
  v1::EraseModelRequest erase;
  erase.set_name(made.model);
  const auto erased = Call(acme_, "EraseModel", erase);
  EXPECT_TRUE(erased.status.ok()) << erased.status;
  std::string whole;
  std::vector<std::string> said;
  const std::string acme = absl::StrCat(KeyIdOf(acme_), " acme ");
  for (const std::string& line : Recorded(&whole)) {
    for (const char* method : {"CancelJobs ", "DeleteJobs ", "EraseModel "}) {
      if (absl::StartsWith(line, acme + method)) said.push_back(line.substr(acme.size()));
    }
  }
  EXPECT_THAT(
      said,
      ::testing::UnorderedElementsAre(
          absl::StrCat("CancelJobs ", first, " OK"), absl::StrCat("CancelJobs ", second, " OK"),
          "DeleteJobs tenants/acme FILTER_MISSING", absl::StrCat("DeleteJobs ", first, " OK"),
          absl::StrCat("DeleteJobs ", second, " OK"), absl::StrCat("CancelJobs ", third, " OK"),
          absl::StrCat("EraseModel ", made.model, " OK")));
}

TEST_F(TenancyTest, EveryChangeIsWrittenDownWithWhoMadeIt) {
  const Things made = Make();
  v1::DeleteJobRequest gone;
  gone.set_name(made.job);
  EXPECT_TRUE(Call(acme_, "DeleteJob", gone).status.ok());
  EXPECT_FALSE(Call(umbrella_, "DeleteJob", gone).status.ok());
  v1::GetJobRequest look;
  look.set_name(made.job);
  (void)Call(acme_, "GetJob", look);
  std::string whole;
  const std::vector<std::string> said = Recorded(&whole);
  const std::string acme = absl::StrCat(KeyIdOf(acme_), " acme ");
  const std::string worker = absl::StrCat(KeyIdOf(worker_), "  ");
  const auto starts = [](const std::string& text) { return ::testing::StartsWith(text); };
  EXPECT_THAT(
      said,
      ::testing::UnorderedElementsAre(
          acme + "CreateJob " + made.job + " OK", worker + "AcquireLease " + made.job + " OK",
          worker + "CompleteLease " + made.job + " OK",
          starts(acme + "Write tenants/acme/uploads/"), acme + "Write " + made.upload + " OK",
          acme + "DeleteJob " + made.job + " OK",
          absl::StrCat(KeyIdOf(umbrella_), " umbrella DeleteJob ", made.job, " JOB_NOT_FOUND")));
  for (const std::string& secret : {acme_, umbrella_, worker_}) {
    EXPECT_EQ(whole.find(secret.substr(16)), std::string::npos) << "no secret is written";
  }
}

TEST_F(TenancyTest, CallsOfATenantAreLimitedAndOfOthersNot) {
  std::string text = *ReadAuthFile(auth_file_);
  text.insert(1, R"("tenants": {"acme": {"calls_per_second": 0.001, "calls_burst": 3}},)");
  std::ofstream(auth_file_) << text;
  server_->server().Reload();
  const v1::ListJobsRequest list;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Call(acme_, "ListJobs", list).status.ok());
  const auto refused = Call(acme_, "ListJobs", list).status;
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_EQ(ErrorReason(refused), "RATE_LIMITED");
  EXPECT_GT(*RetryDelay(refused), absl::Seconds(900));
  EXPECT_TRUE(Call(umbrella_, "ListJobs", list).status.ok());
}

TEST_F(TenancyTest, StoredBytesOfATenantAreLimitedAndNotWhatItsWorkersStore) {
  const v1::Job job = Create(acme_, likeness::testing::PictureJob());
  const auto lease = FakeWorker(Channel(worker_)).Acquire(absl::Seconds(5));
  ASSERT_TRUE(lease.ok()) << lease.status();
  std::string text = *ReadAuthFile(auth_file_);
  text.insert(1, R"("tenants": {"acme": {"max_stored_bytes": 10}},)");
  std::ofstream(auth_file_) << text;
  server_->server().Reload();
  EXPECT_TRUE(Upload(acme_, "acme", "photo1").ok());
  const auto refused = Upload(acme_, "acme", "photo2");
  EXPECT_EQ(ErrorReason(refused), "QUOTA_EXCEEDED");
  EXPECT_EQ(QuotaSubject(refused), "tenants/acme");
  EXPECT_TRUE(Upload(acme_, "acme", "photo1").ok()) << "it is there already";
  EXPECT_TRUE(Upload(acme_, "acme", "four").ok()) << "as many as there may be";
  EXPECT_THAT(MetricsPage(),
              ::testing::HasSubstr("likeness_tenants_at_quota{limit=\"max_stored_bytes\"} 1\n"));
  EXPECT_TRUE(Upload(umbrella_, "umbrella", "photo2").ok());
  Create(acme_, likeness::testing::PictureJob());
  EXPECT_TRUE(Upload(worker_, "acme", "a picture of its job", lease->lease_token()).ok());
  const auto more = Call(acme_, "CreateJob", likeness::testing::PictureJob()).status;
  EXPECT_EQ(ErrorReason(more), "QUOTA_EXCEEDED");
}

TEST_F(TenancyTest, UploadKeepsItsRoomWhileItIsCompleted) {
  const std::string bytes(32 << 20, 'b');
  std::string text = *ReadAuthFile(auth_file_);
  text.insert(1, absl::StrCat(R"("tenants": {"acme": {"max_stored_bytes": )", bytes.size(), "}},"));
  std::ofstream(auth_file_) << text;
  server_->server().Reload();
  const auto channel = Channel(acme_);
  const auto call = [&](const std::string& method, const Message& request) {
    return CallAny(channel, Method(method), request);
  };
  v1::CreateUploadRequest create;
  create.set_sha256(Sha256Hex(bytes));
  create.set_size_bytes(std::ssize(bytes));
  const auto created = call("CreateUpload", create);
  ASSERT_TRUE(created.status.ok()) << created.status;
  const std::string name = dynamic_cast<const v1::Upload&>(*created.messages.at(0)).name();
  v1::UploadPartRequest part;
  part.set_name(name);
  for (size_t offset = 0; offset < bytes.size(); offset += 8 << 20) {
    part.set_offset(static_cast<int64_t>(offset));
    part.set_data(bytes.substr(offset, 8 << 20));
    ASSERT_TRUE(call("UploadPart", part).status.ok());
  }
  std::atomic<bool> completed = false;
  std::thread completing([&] {
    v1::CompleteUploadRequest complete;
    complete.set_name(name);
    const auto status = CallAny(Channel(acme_), Method("CompleteUpload"), complete).status;
    EXPECT_TRUE(status.ok()) << status;
    completed = true;
  });
  v1::CreateUploadRequest other;
  other.set_sha256(Sha256Hex("another"));
  other.set_size_bytes(7);
  int accepted = 0;
  while (!completed) accepted += call("CreateUpload", other).status.ok() ? 1 : 0;
  completing.join();
  // One may look between the call's entry and its reservation: that then fails if the room is
  // taken.
  EXPECT_LE(accepted, 1);
  EXPECT_TRUE(call("CreateUpload", create).status.ok()) << "it is stored, and needs no room";
}

TEST_F(TenancyTest, ManyBadTokensAreAnsweredWithWaitAndGoodOnesStillServed) {
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

TEST_F(TenancyTest, ChangedFileIsNoticedWithoutASignal) {
  const std::string fresh = Key("initech", {Role::kRead});
  const auto known = [&] { return Call(fresh, "ListJobs", v1::ListJobsRequest()).status.ok(); };
  for (int i = 0; i < 600 && !known(); ++i) absl::SleepFor(absl::Milliseconds(50));
  EXPECT_TRUE(known());
}

TEST_F(TenancyTest, BrokenFileLeavesTheOneBefore) {
  std::ofstream(auth_file_) << "{\"keys\": [{]}";
  server_->server().Reload();
  EXPECT_TRUE(Call(acme_, "ListJobs", v1::ListJobsRequest()).status.ok());
  std::ofstream(auth_file_) << "{\"keys\": []}";
  server_->server().Reload();
  EXPECT_EQ(ErrorReason(Call(acme_, "ListJobs", v1::ListJobsRequest()).status), "TOKEN_INVALID");
}

TEST_F(TenancyTest, ServerDoesNotStartOnABrokenFile) {
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
