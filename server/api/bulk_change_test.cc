#include "server/api/bulk_change.h"

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "server/metrics/measured_job_store.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

using ::testing::ElementsAre;

// Notes what the lists were asked for.
class NotingStore : public MeasuredJobStore {
 public:
  using MeasuredJobStore::MeasuredJobStore;
  absl::StatusOr<JobPage> List(const std::string& tenant, const JobQuery& query) override {
    asked_ = PossibleStates(query.filter);
    return MeasuredJobStore::List(tenant, query);
  }
  std::set<v1::JobState> asked_;
};

class BulkChangeTest : public ::testing::Test {
 protected:
  BulkChangeTest() {
    for (int i = 0; i < 5; ++i) {
      NewJob job;
      job.job.set_name(absl::StrCat("tenants/default/jobs/", i));
      job.job.mutable_generate()->mutable_model()->set_name("baseModels/mini");
      EXPECT_TRUE(store_.Create(job).ok());
    }
  }

  static SqliteJobStoreOptions Options(const std::string& folder) {
    SqliteJobStoreOptions options;
    options.path = folder + "/jobs.sqlite";
    return options;
  }

  // Cancels what waits. `first_failure`: of a change, counted from 0.
  absl::StatusOr<BulkChange> CancelAll(int first_failure, int enough = 1000) {
    int calls = 0;
    return ChangeJobs(
        store_, "default", "method = generate", {v1::JOB_STATE_PENDING},
        [&](const JobName& name) -> absl::Status {
          if (calls++ == first_failure) return absl::InternalError("the disk");
          return store_.Cancel(name, "").status();
        },
        [&] { return calls >= enough; });
  }

  likeness::testing::TempFolder folder_;
  const SystemClock clock_;
  std::unique_ptr<SqliteJobStore> sqlite_ = *SqliteJobStore::Open(Options(folder_.path()), clock_);
  Metrics metrics_;
  NotingStore store_{*sqlite_, metrics_};
};

TEST_F(BulkChangeTest, ErrorAfterSomeWereChangedTellsThoseAndToCallAgain) {
  const auto some = CancelAll(/*first_failure=*/2);
  ASSERT_TRUE(some.ok()) << some.status();
  EXPECT_EQ(some->jobs.size(), 2u);
  EXPECT_TRUE(some->more);
  const auto none = CancelAll(/*first_failure=*/0);
  EXPECT_TRUE(absl::IsInternal(none.status())) << "it would never come to an end";
  const auto rest = CancelAll(/*first_failure=*/-1);
  EXPECT_EQ(rest->jobs.size(), 3u);
  EXPECT_FALSE(rest->more);
}

TEST_F(BulkChangeTest, EndsWhenItHasTakenEnough) {
  const auto some = CancelAll(/*first_failure=*/-1, /*enough=*/3);
  EXPECT_EQ(some->jobs.size(), 3u);
  EXPECT_TRUE(some->more);
}

TEST_F(BulkChangeTest, StoreLooksAmongTheStatesThatCanBeChangedAlone) {
  EXPECT_EQ(CancelAll(/*first_failure=*/-1)->jobs.size(), 5u);
  EXPECT_THAT(store_.asked_, ElementsAre(v1::JOB_STATE_PENDING));
  EXPECT_THAT(CancelAll(/*first_failure=*/-1)->jobs, ElementsAre());
}

}  // namespace
}  // namespace likeness::server
