// What WatchJobs reads ahead, and what it passes over.
#include "server/api/watch_jobs_source.h"

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "server/metrics/measured_job_store.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

using ::testing::ElementsAre;

// Counts what is read of events, and has lost a job.
class LossyStore : public MeasuredJobStore {
 public:
  using MeasuredJobStore::MeasuredJobStore;
  absl::StatusOr<std::vector<v1::JobEvent>> EventsAfter(const JobName& name, int64_t key,
                                                        int64_t after, int limit) override {
    if (name.id == lost_) return absl::DataLossError("damaged");
    auto events = MeasuredJobStore::EventsAfter(name, key, after, limit);
    for (const auto& event : *events) bytes_read_ += event.ByteSizeLong();
    return events;
  }
  std::string lost_;
  size_t bytes_read_ = 0;
};

class WatchJobsSourceTest : public ::testing::Test {
 protected:
  SqliteJobStoreOptions Options() {
    SqliteJobStoreOptions options;
    options.path = folder_.path() + "/jobs.sqlite";
    options.listener = [this](const JobChange& change) { log_.Add(change); };
    return options;
  }

  void Create(const std::string& id) {
    NewJob job;
    job.job.set_name(absl::StrCat("tenants/default/jobs/", id));
    job.job.set_max_attempts(1);
    job.job.mutable_generate()->mutable_model()->set_name("baseModels/mini");
    ASSERT_TRUE(store_.Create(job).ok());
  }

  // Of so many changes, from the first on. The store tells of a change once the caller knows.
  std::unique_ptr<StreamSource<v1::JobEvent>> Watch(int64_t changes) {
    while (log_.position() < changes) absl::SleepFor(absl::Milliseconds(1));
    return *WatchJobsSource::Open(feed_, store_, log_, signer_, "default", from_start_, [] {});
  }

  likeness::testing::TempFolder folder_;
  const SystemClock clock_;
  ChangeLog log_{100};
  std::unique_ptr<SqliteJobStore> sqlite_ = *SqliteJobStore::Open(Options(), clock_);
  Metrics metrics_;
  LossyStore store_{*sqlite_, metrics_};
  ChangeFeed feed_;
  const TokenSigner signer_{store_.signing_key()};
  const v1::WatchJobsRequest from_start_ = [this] {
    v1::WatchJobsRequest request;
    request.set_resume_token(WatchJobsSource::TokenAt(log_, signer_, "default"));
    return request;
  }();
};

TEST_F(WatchJobsSourceTest, ClientThatDoesNotReadHoldsUpOneMegabyte) {
  constexpr size_t kPreviews = 100, kPreviewBytes = 64 << 10,
                   kMostAhead = (1 << 20) + 2 * kPreviewBytes;
  std::map<std::string, size_t> expected;
  for (const std::string id : {"a", "b", "c"}) {
    Create(id);
    v1::AcquireLeaseRequest offer;
    offer.set_worker("worker-" + id);
    offer.add_base_models()->set_name("baseModels/mini");
    offer.add_methods("generate");
    const auto lease = store_.Acquire(offer);
    ASSERT_TRUE(lease.ok() && lease->has_value()) << lease.status();
    v1::HeartbeatRequest news;
    news.set_lease_token((*lease)->lease_token());
    news.set_sequence(1);
    for (size_t i = 0; i < kPreviews; ++i) {
      news.add_samples()->set_preview(std::string(kPreviewBytes, 'p'));
    }
    ASSERT_TRUE(store_.Renew(news).ok());
    expected["tenants/default/jobs/" + id] = kPreviews;
  }
  const auto source = Watch(9);  // created, leased, reported
  std::map<std::string, size_t> previews;
  size_t bytes_taken = 0;
  v1::JobEvent event;
  while (*source->Next(&event) == Pulled::kMessage) {
    event.clear_resume_token();
    bytes_taken += event.ByteSizeLong();
    EXPECT_LE(store_.bytes_read_, bytes_taken + kMostAhead);
    if (event.has_sample()) ++previews[event.job()];
  }
  EXPECT_EQ(previews, expected);
}

TEST_F(WatchJobsSourceTest, DamagedJobIsLeftOutAndHoldsUpNoOther) {
  for (const std::string id : {"a", "lost", "b"}) Create(id);
  store_.lost_ = "lost";
  const auto source = Watch(3);
  std::vector<std::string> jobs;
  v1::JobEvent event;
  absl::StatusOr<Pulled> pulled;
  while ((pulled = source->Next(&event)).ok() && *pulled == Pulled::kMessage) {
    jobs.push_back(event.job());
  }
  EXPECT_TRUE(pulled.ok()) << pulled.status();
  EXPECT_THAT(jobs, ElementsAre("tenants/default/jobs/a", "tenants/default/jobs/b"));
}

}  // namespace
}  // namespace likeness::server
