#include "server/maintenance/collect.h"

#include <atomic>
#include <random>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/job_spec.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/blobs/filesystem/filesystem_blob_store.h"
#include "server/jobs/erasure.h"
#include "server/jobs/sqlite/database.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

class CollectTest : public ::testing::Test {
 protected:
  CollectTest() {
    SqliteJobStoreOptions options;
    options.path = folder_.path() + "/jobs.sqlite";
    options.lease.duration = absl::Hours(10'000);
    options.listener = [this](const JobChange& change) {
      if (!change.superseded_checkpoint.empty()) {
        ReleaseCheckpoint(*blobs_, change.superseded_checkpoint, policy_, clock_.Now());
      }
    };
    jobs_ = *SqliteJobStore::Open(options, clock_);
  }

  std::string Put(const std::string& bytes) { return blobs_->Put("default", bytes)->ToString(); }
  bool IsThere(const std::string& blob) { return blobs_->Open(*ParseBlobName(blob)).ok(); }

  absl::Status Create(const std::string& id, const std::vector<std::string>& photos) {
    NewJob job;
    job.job.set_name("tenants/default/jobs/" + id);
    job.job.set_max_attempts(1);
    job.job.mutable_fine_tune()->set_base_model("baseModels/mini");
    job.job.set_output_model("tenants/default/models/" + id);
    for (const auto& photo : photos) {
      MutableSubjectOf(*job.job.mutable_fine_tune()).add_photos()->set_blob(photo);
    }
    job.keep = [this](const std::string& blob) { return blobs_->Keep(*ParseBlobName(blob)).ok(); };
    return jobs_->Create(job).status();
  }

  v1::Lease Lease() {
    v1::AcquireLeaseRequest offer;
    offer.set_worker("w");
    offer.add_base_models()->set_name("baseModels/mini");
    offer.add_methods("dreambooth");
    auto lease = jobs_->Acquire(offer);
    return lease.ok() && *lease ? **lease : v1::Lease();
  }

  absl::Status Checkpoint(const std::string& token, const std::string& blob) {
    v1::HeartbeatRequest news;
    news.set_lease_token(token);
    news.mutable_checkpoint()->set_blob(blob);
    RETURN_IF_ERROR(jobs_->Renew(news).status());
    // The listener hears of a write after its caller; of this one before the next is made.
    news.clear_checkpoint();
    return jobs_->Renew(news).status();
  }

  absl::Status Show(const std::string& token, const std::string& blob) {
    v1::HeartbeatRequest news;
    news.set_lease_token(token);
    news.add_samples()->mutable_output()->set_blob(blob);
    return jobs_->Renew(news).status();
  }

  absl::Status Complete(const std::string& token, const std::string& output) {
    v1::CompleteLeaseRequest outcome;
    outcome.set_lease_token(token);
    outcome.add_outputs()->set_path("model/unet/weights");
    outcome.mutable_outputs(0)->set_kind(v1::OUTPUT_KIND_MODEL_FILE);
    outcome.mutable_outputs(0)->set_blob(output);
    return jobs_->Complete(outcome);
  }

  SweptBlobs Collect() {
    auto swept = CollectBlobs(*jobs_, *blobs_, policy_, clock_.Now());
    EXPECT_TRUE(swept.ok()) << swept.status();
    return swept.value_or(SweptBlobs());
  }

  const CollectPolicy policy_;
  FakeClock clock_;
  likeness::testing::TempFolder folder_;
  std::unique_ptr<BlobStore> blobs_ =
      *FilesystemBlobStore::Open(folder_.path() + "/blobs", 1 << 20, clock_);
  std::unique_ptr<JobStore> jobs_;
};

TEST_F(CollectTest, WhatAJobNamesStaysAsLongAsTheJob) {
  const auto photo = Put("photo");
  const auto preview = Put("preview");
  const auto output = Put("output");
  ASSERT_TRUE(Create("rex", {photo}).ok());
  const auto lease = Lease();
  ASSERT_TRUE(Show(lease.lease_token(), preview).ok());
  ASSERT_TRUE(Complete(lease.lease_token(), output).ok());
  clock_.Advance(absl::Hours(1000));
  EXPECT_EQ(Collect().blobs, 0);
  ASSERT_TRUE(jobs_->Delete({"default", "rex"}, "").ok());
  EXPECT_EQ(Collect().blobs, 2);
  EXPECT_TRUE(IsThere(output)) << "the model stays, and names it";
  ASSERT_TRUE(jobs_->DeleteModel({"default", "rex"}).ok());
  EXPECT_EQ(Collect().blobs, 1);
}

TEST_F(CollectTest, PhotosOfAJobThatNeverRanWaitForARetryAlone) {
  const auto photo = Put("photo");
  ASSERT_TRUE(Create("rex", {photo}).ok());
  clock_.Advance(absl::Hours(1000));
  EXPECT_EQ(Collect().blobs, 0) << "it may run yet";
  ASSERT_TRUE(jobs_->Cancel({"default", "rex"}, "").ok());
  clock_.Advance(policy_.blob_grace - absl::Minutes(1));
  EXPECT_EQ(Collect().blobs, 0);
  const auto stored = [&](const std::string& blob) { return IsThere(blob); };
  ASSERT_TRUE(jobs_->Retry({"default", "rex"}, "", stored).ok());
  ASSERT_TRUE(jobs_->Cancel({"default", "rex"}, "").ok());
  clock_.Advance(policy_.blob_grace + absl::Minutes(1));
  EXPECT_EQ(Collect().blobs, 1);
  EXPECT_EQ(ErrorReason(jobs_->Retry({"default", "rex"}, "", stored).status()), "BLOB_NOT_FOUND");
  EXPECT_EQ(jobs_->Get({"default", "rex"})->state(), v1::JOB_STATE_CANCELLED);
}

TEST_F(CollectTest, WhatAnErasureDidNotComeToIsErasedLater) {
  const auto photo = Put("photo");
  ASSERT_TRUE(Create("rex", {photo}).ok());
  ASSERT_TRUE(Create("unreadable", {}).ok());
  ASSERT_TRUE(jobs_->Cancel({"default", "rex"}, "").ok());
  clock_.Advance(absl::Seconds(1));
  auto database = *Database::Open(folder_.path() + "/jobs.sqlite", Database::Mode::kWriter);
  ASSERT_TRUE(database->Execute("UPDATE jobs SET job = '~/blobs/' WHERE id = 'unreadable'").ok());
  const auto erased = jobs_->EraseJob({"default", "rex"}, "");
  ASSERT_TRUE(erased.ok()) << erased.status();
  const v1::Erasure answer = EraseBlobs(*jobs_, *blobs_, *erased);
  EXPECT_THAT(answer.jobs(), ::testing::ElementsAre("tenants/default/jobs/rex"));
  EXPECT_EQ(answer.pending_blobs(), 1);
  EXPECT_EQ(answer.erased_blobs(), 0);
  EXPECT_TRUE(IsThere(photo));
  EXPECT_FALSE(EraseRest(*jobs_, *blobs_).ok());
  ASSERT_TRUE(database->Execute("UPDATE jobs SET job = x'' WHERE id = 'unreadable'").ok());
  const auto rest = EraseRest(*jobs_, *blobs_);
  EXPECT_TRUE(rest.ok()) << rest;
  EXPECT_FALSE(IsThere(photo));
  EXPECT_TRUE(jobs_->BlobsToErase(10)->empty());
}

TEST_F(CollectTest, ErasureSparesThePhotosOfAJobThatIsAcceptedMeanwhile) {
  const auto photo = Put("photo");
  ASSERT_TRUE(Create("rex", {photo}).ok());
  ASSERT_TRUE(jobs_->Cancel({"default", "rex"}, "").ok());
  clock_.Advance(absl::Seconds(1));
  const auto erased = jobs_->EraseJob({"default", "rex"}, "");
  ASSERT_TRUE(erased.ok()) << erased.status();
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(Create("rosie", {photo}).ok());
  // Though the erasure had looked at all jobs before.
  EXPECT_EQ(blobs_->Erase({*ParseBlobName(photo)}, erased->time)->blobs, 0);
  EXPECT_TRUE(IsThere(photo));
}

TEST_F(CollectTest, JobWhosePhotosWereErasedMeanwhileIsRefused) {
  const auto photo = Put("photo");
  ASSERT_TRUE(Create("rex", {photo}).ok());
  ASSERT_TRUE(jobs_->Cancel({"default", "rex"}, "").ok());
  clock_.Advance(absl::Seconds(1));
  const auto erased = jobs_->EraseJob({"default", "rex"}, "");
  ASSERT_TRUE(erased.ok()) << erased.status();
  EXPECT_EQ(EraseBlobs(*jobs_, *blobs_, *erased).erased_blobs(), 1);
  EXPECT_EQ(ErrorReason(Create("rosie", {photo})), "BLOB_NOT_FOUND");
  EXPECT_TRUE(absl::IsNotFound(jobs_->Get({"default", "rosie"}).status()));
}

TEST_F(CollectTest, JobOfAnotherTenantWithTheSamePhotoKeepsItsOwnAlone) {
  const auto photo = Put("photo");
  const BlobName other = *blobs_->Put("other", "photo");
  NewJob job;
  job.job.set_name("tenants/other/jobs/rex");
  MutableSubjectOf(*job.job.mutable_fine_tune()).add_photos()->set_blob(other.ToString());
  ASSERT_TRUE(jobs_->Create(job).ok());
  clock_.Advance(absl::Hours(1000));
  EXPECT_EQ(Collect().blobs, 1);
  EXPECT_FALSE(IsThere(photo));
  EXPECT_TRUE(IsThere(other.ToString()));
}

TEST_F(CollectTest, PromptThatSaysABlobsNameNeitherKeepsNorErasesIt) {
  const auto photo = Put("photo");
  const auto draw = [&](const std::string& id) {
    NewJob job;
    job.job.set_name("tenants/other/jobs/" + id);
    job.job.mutable_generate()->mutable_model()->set_name("baseModels/mini");
    job.job.mutable_generate()->add_prompts(photo);
    ASSERT_TRUE(jobs_->Create(job).ok());
  };
  draw("eraser");
  ASSERT_TRUE(jobs_->Cancel({"other", "eraser"}, "").ok());
  clock_.Advance(absl::Seconds(1));
  const auto erased = jobs_->EraseJob({"other", "eraser"}, "");
  ASSERT_TRUE(erased.ok()) << erased.status();
  const v1::Erasure answer = EraseBlobs(*jobs_, *blobs_, *erased);
  EXPECT_EQ(answer.erased_blobs() + answer.shared_blobs() + answer.pending_blobs(), 0);
  EXPECT_TRUE(IsThere(photo));
  draw("keeper");
  clock_.Advance(absl::Hours(1000));
  EXPECT_EQ(Collect().blobs, 1);
  EXPECT_FALSE(IsThere(photo));
}

TEST_F(CollectTest, BlobThatNothingNamesHasItsGrace) {
  const auto photo = Put("photo");
  clock_.Advance(policy_.blob_grace - absl::Minutes(1));
  EXPECT_EQ(Collect().blobs, 0);
  clock_.Advance(absl::Minutes(2));
  const SweptBlobs swept = Collect();
  EXPECT_EQ(swept.blobs, 1);
  EXPECT_EQ(swept.bytes, 5);
}

TEST_F(CollectTest, OnlyTheLastCheckpointStaysAndGoesAfterTheEnd) {
  ASSERT_TRUE(Create("rex", {}).ok());
  const auto lease = Lease();
  const auto first = Put("first");
  const auto second = Put("second");
  ASSERT_TRUE(Checkpoint(lease.lease_token(), first).ok());
  ASSERT_TRUE(Checkpoint(lease.lease_token(), second).ok());
  clock_.Advance(policy_.checkpoint_grace - absl::Minutes(1));
  EXPECT_EQ(Collect().blobs, 0);
  clock_.Advance(absl::Minutes(2));
  EXPECT_EQ(Collect().blobs, 1);
  EXPECT_FALSE(IsThere(first));
  clock_.Advance(absl::Hours(1000));
  EXPECT_EQ(Collect().blobs, 0) << "a worker may be lost at any time";
  ASSERT_TRUE(Complete(lease.lease_token(), Put("output")).ok());
  clock_.Advance(policy_.checkpoint_grace + absl::Minutes(1));
  EXPECT_EQ(Collect().blobs, 1);
  EXPECT_FALSE(IsThere(second));
}

TEST_F(CollectTest, CheckpointsThatWereNeverCollectedAreErasedWithTheirJob) {
  ASSERT_TRUE(Create("rex", {Put("photo")}).ok());
  const auto lease = Lease();
  const auto first = Put("first");
  const auto second = Put("second");
  ASSERT_TRUE(Checkpoint(lease.lease_token(), first).ok());
  ASSERT_TRUE(Checkpoint(lease.lease_token(), second).ok());
  clock_.Advance(absl::Hours(1000));  // nothing is collected, as with --collect-every=0
  ASSERT_TRUE(Checkpoint(lease.lease_token(), Put("third")).ok());
  ASSERT_TRUE(Complete(lease.lease_token(), Put("weights")).ok());
  clock_.Advance(absl::Seconds(1));
  const auto erased = jobs_->EraseJob({"default", "rex"}, "");
  ASSERT_TRUE(erased.ok()) << erased.status();
  EXPECT_EQ(EraseBlobs(*jobs_, *blobs_, *erased).pending_blobs(), 0);
  EXPECT_FALSE(IsThere(first));
  EXPECT_FALSE(IsThere(second));
}

TEST_F(CollectTest, CheckpointOfAFailedJobWaitsForARetry) {
  ASSERT_TRUE(Create("rex", {}).ok());
  const auto lease = Lease();
  const auto checkpoint = Put("checkpoint");
  ASSERT_TRUE(Checkpoint(lease.lease_token(), checkpoint).ok());
  clock_.Advance(absl::Hours(1000));
  v1::FailLeaseRequest failure;
  failure.set_lease_token(lease.lease_token());
  ASSERT_TRUE(jobs_->Fail(failure).ok());
  clock_.Advance(policy_.blob_grace - absl::Minutes(1));
  EXPECT_EQ(Collect().blobs, 0);
  clock_.Advance(absl::Minutes(2));
  EXPECT_EQ(Collect().blobs, 1);
}

// Threads that create, show, checkpoint, complete, fail and delete, out of a small pool of bytes,
// so that a blob is often named again just when it may go; sweeps all the while. Time passes only
// while nobody is between keeping a blob and naming it: that such a step takes less than the grace
// is what the grace is for.
TEST_F(CollectTest, NoInterleavingLosesABlobThatIsNamed) {
  constexpr int kThreads = 4;
  constexpr int kSteps = 80;
  constexpr int kPool = 12;
  std::shared_mutex window;
  std::atomic<int> working{kThreads};
  std::atomic<int> lost{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      const auto pick = [&] { return absl::StrCat("bytes ", random() % kPool); };
      const auto put = [&](const std::string& bytes) {
        const BlobName name{"default", Sha256Hex(bytes)};
        if (random() % 2 && blobs_->Keep(name).ok()) return name.ToString();  // FindMissingBlobs
        return Put(bytes);
      };
      const auto check = [&](const std::string& blob) { lost += !IsThere(blob); };
      for (int step = 0; step < kSteps; ++step) {
        const std::string id = absl::StrCat("job-", t, "-", step);
        {
          std::shared_lock lock(window);
          const auto photo = put(pick());
          if (random() % 4 == 0) std::this_thread::yield();
          if (Create(id, {photo}).ok()) check(photo);
        }
        const auto lease = Lease();
        if (lease.lease_token().empty()) continue;
        const std::string leased = ParseJobName(lease.job().name())->id;
        for (int i = random() % 3; i > 0; --i) {
          std::shared_lock lock(window);
          const auto blob = put(pick());
          const bool checkpoint = random() % 2;
          const auto named =
              checkpoint ? Checkpoint(lease.lease_token(), blob) : Show(lease.lease_token(), blob);
          if (named.ok()) check(blob);
        }
        if (random() % 3 == 0) {
          v1::FailLeaseRequest failure;
          failure.set_lease_token(lease.lease_token());
          (void)jobs_->Fail(failure);
        } else {
          std::shared_lock lock(window);
          const auto output = put(pick());
          if (Complete(lease.lease_token(), output).ok()) check(output);
        }
        if (random() % 2) (void)jobs_->Delete({"default", leased}, "");
        if (random() % 2) (void)jobs_->DeleteModel({"default", leased});
      }
      --working;
    });
  }
  int64_t swept = 0;
  for (int round = 0; working > 0; ++round) {
    swept += Collect().blobs;
    if (round % 2) continue;
    std::unique_lock lock(window);
    clock_.Advance(policy_.blob_grace + absl::Minutes(1));
  }
  for (auto& thread : threads) thread.join();
  swept += Collect().blobs;
  EXPECT_GT(swept, 0);
  EXPECT_EQ(lost, 0);
  int64_t named = 0;
  ASSERT_TRUE(jobs_
                  ->VisitBlobs([&](const NamedBlob& blob) {
                    if (blob.needed_until != absl::InfiniteFuture()) return;
                    ++named;
                    EXPECT_TRUE(blobs_->Open(blob.name).ok()) << blob.name.ToString();
                  })
                  .ok());
  EXPECT_GT(named, 0);
}

}  // namespace
}  // namespace likeness::server
