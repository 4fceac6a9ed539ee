// Pages of jobs, their filter and order.
#include <algorithm>
#include <random>

#include "server/jobs/contract/job_store_contract.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Names(const JobPage& page) {
  std::vector<std::string> ids;
  for (const v1::Job& job : page.jobs) ids.push_back(job.uid());
  return ids;
}

TEST_P(JobStoreTest, PagesListNewestFirst) {
  for (const char* id : {"a", "b", "c"}) Create(id);
  JobQuery query;
  query.limit = 2;
  auto page = *store().List("default", query);
  EXPECT_THAT(Names(page), ElementsAre("uid-c", "uid-b"));
  ASSERT_TRUE(page.next);
  query.after = page.next;
  page = *store().List("default", query);
  EXPECT_THAT(Names(page), ElementsAre("uid-a"));
  EXPECT_FALSE(page.next);
  EXPECT_THAT(store().List("another", {})->jobs, IsEmpty());
}

// Jobs of every state, method, model and label, some ended, at different times.
std::vector<v1::Job> VariedJobs(const std::function<NewJob(const std::string&)>& make,
                                JobStore& store, FakeClock& clock,
                                const std::function<v1::Lease()>& acquire, std::mt19937& random) {
  for (int i = 0; i < 30; ++i) {
    NewJob job = make("j" + std::to_string(i));
    if (random() % 2) (*job.job.mutable_labels())["project"] = random() % 2 ? "x" : "a \"b\" c";
    if (random() % 3 == 0) (*job.job.mutable_labels())["owner-1"] = "me";
    if (random() % 2) {
      job.job.mutable_fine_tune()->set_base_model(random() % 2 ? "baseModels/mini"
                                                               : "baseModels/other");
    }
    EXPECT_TRUE(store.Create(job).ok());
    clock.Advance(absl::Seconds(random() % 3));
  }
  for (int i = 0; i < 30; ++i) {
    const JobName name{"default", "j" + std::to_string(random() % 30)};
    if (random() % 2) {
      (void)store.Cancel(name, "");
    } else if (const v1::Lease lease = acquire(); !lease.lease_token().empty()) {
      v1::CompleteLeaseRequest good;
      v1::FailLeaseRequest bad;
      good.set_lease_token(lease.lease_token());
      bad.set_lease_token(lease.lease_token());
      const int outcome = static_cast<int>(random() % 3);
      if (outcome == 0) {
        EXPECT_TRUE(store.Complete(good).ok());
      } else if (outcome == 1) {
        EXPECT_TRUE(store.Fail(bad).ok());
      }
    }
    clock.Advance(absl::Seconds(random() % 3));
  }
  JobQuery all;
  all.limit = 1000;
  return store.List("default", all)->jobs;
}

std::string RandomFilter(std::mt19937& random, absl::Time around, int depth) {
  const auto pick = [&](std::vector<std::string> options) {
    return options[random() % options.size()];
  };
  const auto more = [&] { return RandomFilter(random, around, depth - 1); };
  if (depth > 0 && random() % 3 != 0) {
    return "(" + more() + pick({" AND ", " OR "}) + pick({"", "NOT ", "-"}) + more() + ")";
  }
  const std::string time = absl::FormatTime(
      absl::RFC3339_full, around + absl::Seconds(random() % 60), absl::UTCTimeZone());
  return pick({"state = " + pick({"PENDING", "JOB_STATE_RUNNING", "SUCCEEDED", "FAILED"}),
               "state != CANCELLED", "method = generate", "method != generate",
               "model = \"baseModels/mini\"", "model != baseModels/mini", "labels.project = x",
               "labels.project != \"a \\\"b\\\" c\"", "labels:project", "labels.owner-1=me",
               pick({"create_time", "end_time"}) + pick({"<", "<=", ">", ">=", "=", "!="}) + time});
}

TEST_P(JobStoreTest, FiltersFindWhatMatchesInEveryOrderAndPage) {
  std::mt19937 random(1);
  const absl::Time start = clock_.Now();
  const auto acquire = [&] {
    const auto lease = store().Acquire(Offer("w"));
    return lease.ok() && *lease ? **lease : v1::Lease();
  };
  const auto jobs = VariedJobs(PictureJob, store(), clock_, acquire, random);
  ASSERT_EQ(jobs.size(), 30u);
  size_t found = 0;
  for (int round = 0; round < 300; ++round) {
    const std::string text = RandomFilter(random, start, 3);
    const std::string order =
        std::vector<std::string>{"", "create_time", "end_time", "end_time desc"}[random() % 4];
    JobQuery query;
    const auto filter = ParseJobFilter(text);
    ASSERT_TRUE(filter.ok()) << text << ": " << filter.status();
    query.filter = *filter;
    query.order = *ParseJobOrder(order);
    query.limit = 1 + static_cast<int>(random() % 8);

    std::vector<std::string> expected;  // jobs are the newest first
    for (const v1::Job& job : jobs) {
      if (Matches(*filter, job)) expected.push_back(job.uid());
    }
    const auto end_of = [&](const std::string& uid) {
      const auto job = std::find_if(jobs.begin(), jobs.end(),
                                    [&](const v1::Job& job) { return job.uid() == uid; });
      return job->has_end_time() ? FromProto(job->end_time()) : absl::InfiniteFuture();
    };
    if (order == "create_time" || order == "end_time")
      std::reverse(expected.begin(), expected.end());
    if (order == "end_time" || order == "end_time desc") {
      std::stable_sort(expected.begin(), expected.end(), [&](const auto& a, const auto& b) {
        return order == "end_time" ? end_of(a) < end_of(b) : end_of(a) > end_of(b);
      });
    }
    std::vector<std::string> listed;
    do {
      const auto page = *store().List("default", query);
      const auto names = Names(page);
      listed.insert(listed.end(), names.begin(), names.end());
      query.after = page.next;
    } while (query.after);
    EXPECT_EQ(listed, expected) << text << " by " << order;
    found += listed.size();
  }
  EXPECT_GT(found, 300u) << "the filters are not so strict that they say nothing";
}

}  // namespace
}  // namespace likeness::server
