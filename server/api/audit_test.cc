// What the audit log tells of calls.
#include "likeness/v1/model_service.pb.h"
#include "server/api/tenancy_fixture.h"

namespace likeness::server {
namespace {

using AuditTest = TenancyTest;

TEST_F(AuditTest, EveryJobOfABulkChangeAndTheErasedModelAreWrittenDown) {
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

TEST_F(AuditTest, EveryChangeIsWrittenDownWithWhoMadeIt) {
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

}  // namespace
}  // namespace likeness::server
