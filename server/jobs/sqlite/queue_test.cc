// What a look at the queue costs, in steps of SQLite's virtual machine.
#include <sqlite3.h>

#include <atomic>

#include "absl/strings/str_cat.h"
#include "server/jobs/contract/job_store_contract.h"

namespace likeness::server {
namespace {

// Of all connections that are opened while there is one of these.
class CountedSteps {
 public:
  CountedSteps() { sqlite3_auto_extension(reinterpret_cast<void (*)()>(&Watch)); }
  ~CountedSteps() { sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(&Watch)); }

  int64_t so_far() const { return steps; }

 private:
  static int Watch(sqlite3* connection, char**, const sqlite3_api_routines*) {
    const auto count = [](void*) {
      ++steps;
      return 0;
    };
    sqlite3_progress_handler(connection, /*nOps=*/1, count, nullptr);
    return SQLITE_OK;
  }

  static inline std::atomic<int64_t> steps = 0;
};

TEST_P(JobStoreTest, LeaseTakesNoMoreStepsWhereManyJobsWait) {
  const CountedSteps steps;
  Reopen();
  MakeModel("rex");
  const auto create = [&](int from, int to) {
    for (int i = from; i < to; ++i) {
      Create(absl::StrCat("plain-", i));
      NewJob drawing = PictureJob(absl::StrCat("rex-", i));
      drawing.job.mutable_generate()->mutable_model()->set_name("tenants/default/models/rex");
      ASSERT_TRUE(store().Create(drawing).ok());
    }
  };
  auto offer = Offer("w");
  offer.add_resident_models("tenants/default/models/rex");
  const auto steps_of_a_lease = [&] {
    const int64_t before = steps.so_far();
    EXPECT_TRUE(store().Acquire(offer)->has_value());
    return steps.so_far() - before;
  };
  create(0, 3);
  const int64_t where_few_wait = steps_of_a_lease();
  create(3, 100);
  EXPECT_LT(steps_of_a_lease(), where_few_wait + where_few_wait / 4);
}

}  // namespace
}  // namespace likeness::server
