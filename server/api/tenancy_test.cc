// Several tenants on one server: each sees its own things alone, and each key does what it is for.
// Every method of the contract is tried, found by reflection: one without a row here fails.
#include <map>

#include "absl/strings/str_replace.h"
#include "common/job_spec.h"
#include "likeness/v1/blob_service.pb.h"
#include "likeness/v1/capabilities_service.pb.h"
#include "likeness/v1/model_service.pb.h"
#include "likeness/v1/operator_service.pb.h"
#include "server/api/tenancy_fixture.h"
#include "server/auth/method_rules.h"

namespace likeness::server {
namespace {

using ::likeness::testing::RequestOf;

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

}  // namespace
}  // namespace likeness::server
