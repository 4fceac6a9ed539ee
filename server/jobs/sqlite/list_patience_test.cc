// A search that takes too long is cut off; the store is as before.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/rpc_error.h"
#include "gtest/gtest.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

TEST(ListPatienceTest, CostlyFilterIsCutOffAndHoldsNothingUp) {
  likeness::testing::TempFolder folder;
  const SystemClock clock;
  SqliteJobStoreOptions options;
  options.path = folder.path() + "/jobs.sqlite";
  options.list_patience = absl::ZeroDuration();
  const auto store = *SqliteJobStore::Open(options, clock);
  for (int i = 0; i < 200; ++i) {
    NewJob job;
    job.job.set_name(absl::StrCat("tenants/default/jobs/", i));
    job.job.mutable_generate()->mutable_model()->set_name("baseModels/mini");
    (*job.job.mutable_labels())["project"] = "zoo";
    ASSERT_TRUE(store->Create(job).ok());
  }
  std::vector<std::string> terms;
  for (int i = 0; i < 64; ++i) terms.push_back(absl::StrCat("labels.k", i, " = v"));
  JobQuery costly;
  costly.filter = *ParseJobFilter(absl::StrJoin(terms, " OR "));
  for (int i = 0; i < 3; ++i) {
    const auto cut = store->List("default", costly);
    EXPECT_EQ(ErrorReason(cut.status()), "SEARCH_TOO_LONG") << cut.status();
    EXPECT_TRUE(store->Get({"default", "7"}).ok()) << "on the same connection";
  }
  JobQuery cheap;
  cheap.limit = 1;
  EXPECT_TRUE(store->List("default", cheap).ok());
}

}  // namespace
}  // namespace likeness::server
