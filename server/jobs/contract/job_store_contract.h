// What every JobStore must do, as one suite that each backend instantiates:
//   INSTANTIATE_TEST_SUITE_P(Sqlite, JobStoreTest, ::testing::Values(&OpenSqlite));
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/job_store.h"
#include "server/jobs/proto_time.h"
#include "tests/support/test_server.h"

namespace likeness::server {

inline constexpr absl::Duration kTestLease = absl::Seconds(30);
inline constexpr absl::Duration kTestRetry = absl::Seconds(1);

// Opens the store that is kept in a folder; again on what an earlier one left there.
using OpenStore = std::function<std::unique_ptr<JobStore>(const std::string& folder, const Clock&,
                                                          JobStore::Listener)>;

class JobStoreTest : public ::testing::TestWithParam<OpenStore> {
 protected:
  void SetUp() override { Reopen(); }

  void Reopen() {
    store_.reset();
    store_ = GetParam()(folder_.path(), clock_,
                        [this](const JobChange& change) { changes_.push_back(change); });
  }

  JobStore& store() { return *store_; }

  static NewJob PictureJob(const std::string& id) {
    NewJob job;
    job.job.set_name("tenants/default/jobs/" + id);
    job.job.set_uid("uid-" + id);
    job.job.set_max_attempts(2);
    job.job.mutable_generate()->mutable_model()->set_name("baseModels/mini");
    return job;
  }

  static v1::AcquireLeaseRequest Offer(const std::string& worker) {
    v1::AcquireLeaseRequest offer;
    offer.set_worker(worker);
    offer.add_base_models()->set_name("baseModels/mini");
    offer.add_methods("generate");
    offer.add_methods("dreambooth");
    return offer;
  }

  void Create(const std::string& id) { ASSERT_TRUE(store().Create(PictureJob(id)).ok()); }

  v1::Lease AcquireAs(const std::string& worker) {
    auto lease = store().Acquire(Offer(worker));
    EXPECT_TRUE(lease.ok()) << lease.status();
    EXPECT_TRUE(lease->has_value()) << "there was nothing to lease";
    return lease.ok() && *lease ? **lease : v1::Lease();
  }

  bool NothingToLease() {
    auto lease = store().Acquire(Offer("idle"));
    return lease.ok() && !lease->has_value();
  }

  absl::Status Complete(const std::string& token) {
    v1::CompleteLeaseRequest outcome;
    outcome.set_lease_token(token);
    return store().Complete(outcome);
  }

  absl::StatusOr<LeaseTerms> Renew(const std::string& token, int64_t done = 0) {
    v1::HeartbeatRequest news;
    news.set_lease_token(token);
    news.mutable_progress()->set_done(done);
    return store().Renew(news);
  }

  void Log(const std::string& token, const std::vector<std::string>& lines) {
    v1::HeartbeatRequest news;
    news.set_lease_token(token);
    for (const std::string& line : lines) news.add_log_lines()->set_text(line);
    ASSERT_TRUE(store().Renew(news).ok());
  }

  absl::Status Fail(const std::string& token, bool retryable) {
    v1::FailLeaseRequest failure;
    failure.set_lease_token(token);
    failure.set_retryable(retryable);
    failure.mutable_error()->set_message("broken");
    return store().Fail(failure);
  }

  absl::StatusOr<v1::Job> Retry(const std::string& id, bool checkpoint_stored = true) {
    return store().Retry({"default", id}, "",
                         [=](const std::string&) { return checkpoint_stored; });
  }

  absl::Status Release(const std::string& token, v1::ReleaseReason reason) {
    v1::ReleaseLeaseRequest release;
    release.set_lease_token(token);
    release.set_reason(reason);
    return store().Release(release);
  }

  // Job make-{id} makes the model.
  void MakeModel(const std::string& id) {
    NewJob training = PictureJob("make-" + id);
    training.job.mutable_fine_tune()->set_base_model("baseModels/mini");
    training.job.set_output_model("tenants/default/models/" + id);
    ASSERT_TRUE(store().Create(training).ok());
    ASSERT_TRUE(Complete(AcquireAs("trainer").lease_token()).ok());
  }

  v1::Job Get(const std::string& id) {
    auto job = store().Get({"default", id});
    EXPECT_TRUE(job.ok()) << job.status();
    return job.value_or(v1::Job());
  }
  int64_t KeyOf(const std::string& id) {
    auto snapshot = store().Snapshot({"default", id});
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    return snapshot.ok() ? snapshot->key : 0;
  }
  v1::JobState StateOf(const std::string& id) { return Get(id).state(); }

  std::vector<v1::JobEvent> Events(const std::string& id, int64_t after = 0) {
    auto events = store().EventsAfter({"default", id}, KeyOf(id), after, 1000);
    EXPECT_TRUE(events.ok()) << events.status();
    return *std::move(events);
  }

  // The texts of the job's log, as far as they are kept.
  std::vector<std::string> LogOf(const std::string& id) {
    std::vector<std::string> lines;
    const auto events = store().KeptEvents({"default", id}, KeyOf(id), 0, 100'000);
    EXPECT_TRUE(events.ok()) << events.status();
    if (!events.ok()) return lines;
    for (const auto& event : *events) {
      if (event.has_log()) lines.push_back(event.log().text());
    }
    return lines;
  }

  FakeClock clock_;
  std::vector<JobChange>
      changes_;  // written by the store's thread; read it when nothing is under way

 private:
  likeness::testing::TempFolder folder_;
  std::unique_ptr<JobStore> store_;
};

}  // namespace likeness::server
