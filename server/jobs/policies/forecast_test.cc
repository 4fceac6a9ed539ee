#include "server/jobs/policies/forecast.h"

#include <algorithm>
#include <random>

#include "gtest/gtest.h"
#include "server/jobs/policies/retention.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

QueueView RandomView(std::mt19937& random, int tenants) {
  QueueView view;
  const int jobs = static_cast<int>(random() % 60);
  for (int i = 0; i < jobs; ++i) {
    view.waiting.push_back({.tenant = std::string(1, static_cast<char>('a' + random() % tenants)),
                            .priority = 1 + static_cast<int>(random() % 5),
                            .queue_time = kNow - absl::Minutes(random() % 300),
                            .not_before = absl::InfinitePast(),
                            .key = i});
    ++view.methods["generate"];
  }
  return view;
}

// The keys in the order in which one worker would get them if time stood still.
std::vector<int64_t> OrderOf(const QueueView& view, const QueuePolicy& policy) {
  std::vector<Candidate> waiting;
  for (const QueuePlace& place : view.waiting) {
    Candidate& job = waiting.emplace_back();
    job.key = place.key;
    job.tenant = place.tenant;
    job.priority = place.priority;
    job.queue_time = place.queue_time;
    job.needs.method = "generate";
  }
  v1::AcquireLeaseRequest offer;
  offer.add_methods("generate");
  Shares shares;
  std::vector<int64_t> order;
  while (const auto next = ChooseJob(waiting, shares, offer, kNow, policy)) {
    order.push_back(waiting[*next].key);
    ChargeTenant(waiting[*next].tenant, absl::Minutes(1), policy, shares);
    waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(*next));
  }
  return order;
}

TEST(ForecastTest, PositionsOfOneTenantAreTheOrderInWhichItsJobsStart) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    const QueueView view = RandomView(random, 1);
    const Forecast forecast(view, kNow, {});
    const auto order = OrderOf(view, {});
    for (size_t i = 0; i < order.size(); ++i) {
      const auto& job = view.waiting[static_cast<size_t>(order[i])];
      EXPECT_EQ(forecast.PositionOf(job), static_cast<int>(i));
    }
  }
}

TEST(ForecastTest, PositionsAmongTenantsAreRightButForOneTurnOfEach) {
  std::mt19937 random(2);
  for (int round = 0; round < 200; ++round) {
    const QueueView view = RandomView(random, 4);
    QueuePolicy policy;
    policy.weights = {{"a", 3}, {"b", 0.5}};
    const Forecast forecast(view, kNow, policy);
    const auto order = OrderOf(view, policy);
    for (size_t i = 0; i < order.size(); ++i) {
      const auto& job = view.waiting[static_cast<size_t>(order[i])];
      double turn = 0;
      for (const char* other : {"a", "b", "c", "d"}) {
        turn += policy.WeightOf(other) / policy.WeightOf(job.tenant) + 1;
      }
      EXPECT_NEAR(forecast.PositionOf(job), static_cast<double>(i), turn);
    }
  }
}

TEST(ForecastTest, OneJobOfAQuietTenantDoesNotStandBehindAFlood) {
  QueueView view;
  for (int i = 0; i < 1000; ++i) {
    view.waiting.push_back({.tenant = "flood", .queue_time = kNow, .not_before = kNow, .key = i});
  }
  view.waiting.push_back({.tenant = "quiet", .queue_time = kNow, .not_before = kNow, .key = 1000});
  const Forecast forecast(view, kNow, {});
  EXPECT_EQ(forecast.PositionOf(view.waiting[1000]), 0);
  EXPECT_EQ(forecast.PositionOf(view.waiting[500]), 501);
}

TEST(ForecastTest, StartIsTheWorkBeforeOverTheWorkers) {
  QueueView view;
  view.durations["generate"] = absl::Seconds(60);
  view.methods["generate"] = 3;
  view.running = {{"generate", kNow - absl::Seconds(20)}};
  EXPECT_EQ(Forecast(view, kNow, {}).StartOf(0), kNow + absl::Seconds(40));
  EXPECT_EQ(Forecast(view, kNow, {}).StartOf(2), kNow + absl::Seconds(160));
  view.running.push_back({"generate", kNow});
  EXPECT_EQ(Forecast(view, kNow, {}).StartOf(0), kNow + absl::Seconds(40));
  // 20 s of the first worker alone, and 100 s of both.
  EXPECT_EQ(Forecast(view, kNow, {}).StartOf(2), kNow + absl::Seconds(110));
}

TEST(ForecastTest, WhatIsNotKnownIsNotGuessed) {
  QueueView view;
  view.methods["generate"] = 1;
  EXPECT_EQ(Forecast(view, kNow, {}).StartOf(0), std::nullopt) << "nothing runs";
  view.running = {{"generate", kNow}};
  EXPECT_EQ(Forecast(view, kNow, {}).StartOf(0), std::nullopt) << "no job has ended yet";
}

TEST(ForecastTest, LaterPositionsNeverStartEarlierAndMoreWorkersNeverLater) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    QueueView view;
    view.durations = {{"generate", absl::Seconds(1 + random() % 100)},
                      {"dreambooth", absl::Seconds(1 + random() % 1000)}};
    view.methods = {{"generate", 1 + random() % 5}, {"dreambooth", random() % 5}};
    for (size_t i = 0; i < 1 + random() % 6; ++i) {
      view.running.push_back(
          {random() % 2 ? "generate" : "dreambooth", kNow - absl::Seconds(random() % 500)});
    }
    const Forecast few(view, kNow, {});
    view.running.push_back({"dreambooth", kNow});
    const Forecast more(view, kNow, {});
    absl::Time before = kNow;
    for (int position = 0; position < 30; ++position) {
      const auto start = few.StartOf(position);
      ASSERT_TRUE(start);
      EXPECT_GE(*start, before);
      EXPECT_LE(*more.StartOf(position), *start);
      before = *start;
    }
  }
}

TEST(MeanDurationTest, StaysBetweenWhatItHasSeenAndFollows) {
  std::mt19937 random(4);
  absl::Duration mean;
  for (int runs = 0; runs < 200; ++runs) {
    mean = MeanDuration(mean, runs, absl::Seconds(10 + random() % 20));
    EXPECT_GE(mean, absl::Seconds(10));
    EXPECT_LE(mean, absl::Seconds(30));
  }
  for (int runs = 200; runs < 250; ++runs) mean = MeanDuration(mean, runs, absl::Seconds(100));
  EXPECT_GT(mean, absl::Seconds(99));
}

TEST(RetentionTest, BothSidesAgree) {
  std::mt19937 random(5);
  for (int round = 0; round < 500; ++round) {
    RetentionPolicy policy;
    policy.jobs = random() % 10 == 0 ? absl::InfiniteDuration() : absl::Seconds(random() % 1000);
    policy.events = random() % 10 == 0 ? absl::InfiniteDuration() : absl::Seconds(random() % 1000);
    const absl::Time end = kNow - absl::Seconds(random() % 1000);
    EXPECT_EQ(JobExpiry(end, policy) <= kNow, end <= EndOfExpiredJobs(kNow, policy));
    EXPECT_EQ(EventExpiry(end, policy) <= kNow, end <= EndOfExpiredEvents(kNow, policy));
    v1::Job job;
    AddExpiry(job, policy);
    EXPECT_FALSE(job.has_expire_time()) << "it has not ended";
    *job.mutable_end_time() = ToProto(end);
    AddExpiry(job, policy);
    EXPECT_EQ(job.has_expire_time(), policy.jobs != absl::InfiniteDuration());
  }
}

}  // namespace
}  // namespace likeness::server
