#include "server/jobs/policies/choice.h"

#include <algorithm>
#include <random>
#include <set>
#include <tuple>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace likeness::server {
namespace {

using ::testing::ElementsAre;

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

Candidate JobOf(int64_t key, const std::string& model, absl::Duration after = {}) {
  Candidate job;
  job.key = key;
  job.tenant = "default";
  job.queue_time = kStart + after;
  job.needs.method = "generate";
  job.models = {job.needs.base_model = model};
  return job;
}

Candidate JobFor(int64_t key, const std::string& tenant, int priority = 3,
                 absl::Duration after = {}) {
  Candidate job = JobOf(key, "baseModels/a", after);
  job.tenant = tenant;
  job.priority = priority;
  return job;
}

v1::AcquireLeaseRequest OfferOf(const std::vector<std::string>& models,
                                const std::vector<std::string>& resident = {}) {
  v1::AcquireLeaseRequest offer;
  offer.add_methods("generate");
  for (const auto& model : models) offer.add_base_models()->set_name(model);
  for (const auto& model : resident) offer.add_resident_models(model);
  return offer;
}

std::optional<int64_t> Chosen(const std::vector<Candidate>& jobs, const Shares& shares,
                              const v1::AcquireLeaseRequest& offer, absl::Duration after,
                              const QueuePolicy& policy = {}) {
  const auto chosen = ChooseJob(jobs, shares, offer, kStart + after, policy);
  return chosen ? std::optional(jobs[*chosen].key) : std::nullopt;
}

TEST(ChooseJobTest, ResidentModelIsPreferredButNotForLong) {
  const std::vector<Candidate> jobs = {JobOf(1, "baseModels/a"), JobOf(2, "baseModels/b")};
  const auto offer = OfferOf({"baseModels/a", "baseModels/b"}, {"baseModels/b"});
  EXPECT_EQ(Chosen(jobs, {}, offer, absl::Seconds(1)), 2);
  EXPECT_EQ(Chosen(jobs, {}, offer, absl::Seconds(10)), 1) << "it has waited long enough";
}

TEST(ChooseJobTest, ResidentModelIsNotPreferredToAMoreUrgentJob) {
  std::vector<Candidate> jobs = {JobOf(1, "baseModels/a"), JobOf(2, "baseModels/b")};
  jobs[0].priority = 4;
  EXPECT_EQ(Chosen(jobs, {}, OfferOf({"baseModels/a", "baseModels/b"}, {"baseModels/b"}),
                   absl::Seconds(1)),
            1);
}

TEST(ChooseJobTest, WorkerMustHaveWhatTheJobNeeds) {
  const auto can = [](auto change) {
    Candidate job = JobOf(1, "baseModels/a");
    job.needs.samplers = {"ddim"};
    job.needs.base_model_digest = "d1";
    job.needs.device_memory_bytes = 1000;
    job.needs.labels = {{"zone", "a"}};
    job.needs.spec_revision = 2;
    auto offer = OfferOf({"baseModels/a"});
    offer.set_spec_revision(2);
    offer.mutable_base_models(0)->set_digest("d1");
    offer.add_samplers("ddim");
    offer.set_device_memory_bytes(1000);
    (*offer.mutable_labels())["zone"] = "a";
    (*offer.mutable_labels())["more"] = "";
    change(offer);
    return CanRun(job.needs, offer);
  };
  using Offer = v1::AcquireLeaseRequest;
  EXPECT_TRUE(can([](Offer&) {}));
  EXPECT_FALSE(can([](Offer& offer) { offer.clear_methods(); }));
  EXPECT_FALSE(can([](Offer& offer) { offer.mutable_base_models(0)->set_name("baseModels/b"); }));
  EXPECT_FALSE(can([](Offer& offer) { offer.mutable_base_models(0)->set_digest("d2"); }));
  EXPECT_FALSE(can([](Offer& offer) { offer.clear_samplers(); }));
  EXPECT_FALSE(can([](Offer& offer) { offer.set_device_memory_bytes(999); }));
  EXPECT_FALSE(can([](Offer& offer) { (*offer.mutable_labels())["zone"] = "b"; }));
  EXPECT_FALSE(can([](Offer& offer) { offer.mutable_labels()->erase("zone"); }));
  EXPECT_FALSE(can([](Offer& offer) { offer.set_spec_revision(1); }));
}

TEST(ChooseJobTest, WorkerMustMeasureWhatTheJobAsksFor) {
  Needs needs;
  needs.method = "generate";
  needs.judged_as = "baseModels/a";
  auto offer = OfferOf({"baseModels/a", "baseModels/b"});
  EXPECT_FALSE(CanRun(needs, offer)) << "it has no evaluators";
  offer.mutable_base_models(1)->add_measures(v1::MEASURE_DINO);
  EXPECT_FALSE(CanRun(needs, offer)) << "it has evaluators for another base model";
  offer.mutable_base_models(0)->add_measures(v1::MEASURE_DINO);
  EXPECT_TRUE(CanRun(needs, offer));
  needs.measures = {v1::MEASURE_CLIP_T, v1::MEASURE_DINO};
  EXPECT_FALSE(CanRun(needs, offer)) << "one of the measures is missing";
  offer.mutable_base_models(0)->add_measures(v1::MEASURE_CLIP_T);
  EXPECT_TRUE(CanRun(needs, offer));
  needs.judged_as = "baseModels/gone";
  EXPECT_TRUE(CanRun(needs, offer)) << "models of a base that the worker has not";
}

TEST(ChooseJobTest, JobWithMoreOfItsModelsInMemoryIsPreferred) {
  const std::string rex = "tenants/default/models/rex";
  std::vector<Candidate> jobs = {JobOf(1, "baseModels/a"), JobOf(2, "baseModels/a"),
                                 JobOf(3, "baseModels/a")};
  jobs[1].models.push_back("tenants/default/models/other");
  jobs[2].models.push_back(rex);
  const auto offer = OfferOf({"baseModels/a"}, {"baseModels/a", rex});
  EXPECT_EQ(Chosen(jobs, {}, offer, absl::Seconds(1)), 3);
  EXPECT_EQ(Chosen(jobs, {}, offer, absl::Seconds(10)), 1) << "it has waited long enough";
  jobs[0].priority = 4;
  EXPECT_EQ(Chosen(jobs, {}, offer, absl::Seconds(1)), 1) << "it is more urgent";
}

TEST(ChooseJobTest, UrgentJobsComeFirstUntilOthersHaveWaitedForThem) {
  const std::vector<Candidate> jobs = {JobFor(1, "t", 3), JobFor(2, "t", 4, absl::Minutes(30))};
  EXPECT_EQ(Chosen(jobs, {}, OfferOf({"baseModels/a"}), absl::Minutes(31)), 2);
  EXPECT_EQ(Chosen(jobs, {}, OfferOf({"baseModels/a"}), absl::Minutes(61)), 1)
      << "as urgent, and older";
}

TEST(ChooseJobTest, NoJobRisesAboveTheHighestLevel) {
  const QueuePolicy policy;
  EXPECT_EQ(LevelOf(1, absl::Hours(1000), policy), 5);
  EXPECT_EQ(LevelOf(5, absl::ZeroDuration(), policy), 5);
  EXPECT_EQ(LevelOf(1, absl::Hours(2), policy), 3);
  EXPECT_EQ(LevelOf(2, -absl::Hours(1), policy), 2) << "a clock that was set back";
}

TEST(ChooseJobTest, TenantForWhichTheFewestWorkComesFirst) {
  QueuePolicy policy;
  policy.weights = {{"b", 3}};
  Shares shares;
  const std::vector<Candidate> jobs = {JobFor(1, "a"), JobFor(2, "b")};
  const auto chosen = [&](int a, int b) {
    shares.tenants["a"].running = a;
    shares.tenants["b"].running = b;
    return Chosen(jobs, shares, OfferOf({"baseModels/a"}), {}, policy);
  };
  EXPECT_EQ(chosen(1, 0), 2);
  EXPECT_EQ(chosen(1, 2), 2) << "its weight is 3";
  EXPECT_EQ(chosen(1, 4), 1);
  EXPECT_EQ(chosen(1, 3), 1) << "even: the older";
}

TEST(ChooseJobTest, FloodOfOneTenantDoesNotKeepAnotherWaiting) {
  std::vector<Candidate> jobs;
  for (int i = 1; i <= 100; ++i) jobs.push_back(JobFor(i, "flood"));
  jobs.push_back(JobFor(101, "quiet", 3, absl::Minutes(10)));
  Shares shares;
  ChargeTenant("flood", absl::Minutes(1), {}, shares);  // the job that has just ended
  EXPECT_EQ(Chosen(jobs, shares, OfferOf({"baseModels/a"}), absl::Minutes(11)), 101);
}

// --- Over random queues

class RandomQueue {
 public:
  explicit RandomQueue(uint32_t seed) : random_(seed) {}

  int Below(int limit) { return static_cast<int>(random_() % static_cast<uint32_t>(limit)); }

  Candidate Job(int64_t key) {
    Candidate job;
    job.key = key;
    job.tenant = Tenant();
    job.priority = 1 + Below(5);
    job.queue_time = kStart + absl::Seconds(Below(5 * 3600));
    job.needs.method = Below(3) == 0 ? "dreambooth" : "generate";
    if (Below(2) == 0) {
      job.models = {Personalized(job.tenant)};
    } else {
      job.needs.base_model = Below(2) == 0 ? "baseModels/a" : "baseModels/b";
      job.models = {job.needs.base_model};
    }
    if (Below(3) == 0) job.models.push_back(Personalized(job.tenant));
    if (Below(4) == 0) job.needs.labels = {{"zone", "a"}};
    if (Below(4) == 0) job.needs.device_memory_bytes = 1000;
    return job;
  }

  v1::AcquireLeaseRequest Offer() {
    v1::AcquireLeaseRequest offer;
    offer.add_methods("generate");
    if (Below(2) == 0) offer.add_methods("dreambooth");
    offer.add_base_models()->set_name("baseModels/a");
    if (Below(2) == 0) offer.add_base_models()->set_name("baseModels/b");
    if (Below(2) == 0) (*offer.mutable_labels())["zone"] = "a";
    if (Below(2) == 0) offer.set_device_memory_bytes(2000);
    if (Below(2) == 0) offer.add_resident_models("baseModels/b");
    if (Below(2) == 0) offer.add_resident_models("tenants/" + Tenant() + "/models/a");
    return offer;
  }

  Shares SomeShares() {
    Shares shares;
    for (const char* tenant : {"x", "y", "z"}) {
      shares.tenants[tenant].running = Below(4);
      shares.tenants[tenant].served = absl::Seconds(Below(10));
    }
    shares.virtual_time = absl::Seconds(Below(8));
    return shares;
  }

  QueuePolicy Policy() {
    QueuePolicy policy;
    for (const char* tenant : {"x", "y"}) policy.weights[tenant] = 1 + Below(4);
    policy.patience = absl::Seconds(Below(2 * 3600));
    return policy;
  }

  std::string Personalized(const std::string& tenant) {
    return "tenants/" + tenant + "/models/" + std::string(1, static_cast<char>('a' + Below(3)));
  }

  std::string Tenant() { return std::string(1, static_cast<char>('x' + Below(4))); }

  std::mt19937& random() { return random_; }

 private:
  std::mt19937 random_;
};

std::string GroupOf(const Candidate& job) {
  std::string group = job.tenant + std::to_string(job.priority) + job.needs.method +
                      job.needs.base_model + std::to_string(job.needs.device_memory_bytes);
  for (const auto& [key, value] : job.needs.labels) group += key + value;
  return group;
}

// What a store looks up: see ChooseJob.
std::vector<Candidate> OldestOnly(std::vector<Candidate> jobs,
                                  const v1::AcquireLeaseRequest& offer) {
  std::sort(jobs.begin(), jobs.end(), [](const Candidate& a, const Candidate& b) {
    return std::tie(a.queue_time, a.key) < std::tie(b.queue_time, b.key);
  });
  std::vector<Candidate> oldest;
  std::set<std::string> seen;
  for (const Candidate& job : jobs) {
    const auto& resident = offer.resident_models();
    std::string warm;  // what of the job is in memory
    for (const std::string& model : job.models) {
      if (std::count(resident.begin(), resident.end(), model) > 0) warm += "," + model;
    }
    const bool first = seen.insert(GroupOf(job)).second;
    const bool first_of_models = !warm.empty() && seen.insert(GroupOf(job) + warm).second;
    if (first || first_of_models) oldest.push_back(job);
  }
  return oldest;
}

TEST(ChooseJobTest, OldestOfEachGroupAreEnoughToChooseFrom) {
  RandomQueue make(1);
  int chosen = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<Candidate> jobs;
    for (int i = 0; i < 60; ++i) jobs.push_back(make.Job(i));
    const auto offer = make.Offer();
    const Shares shares = make.SomeShares();
    const QueuePolicy policy = make.Policy();
    const absl::Duration after = absl::Hours(5);
    const auto expected = Chosen(jobs, shares, offer, after, policy);
    EXPECT_EQ(Chosen(OldestOnly(jobs, offer), shares, offer, after, policy), expected);
    std::shuffle(jobs.begin(), jobs.end(), make.random());
    EXPECT_EQ(Chosen(jobs, shares, offer, after, policy), expected) << "in any order";
    chosen += expected ? 1 : 0;
  }
  EXPECT_EQ(chosen, 2000);
}

TEST(ChooseJobTest, NoJobOfALowerLevelComesBeforeOneOfAHigher) {
  RandomQueue make(2);
  for (int round = 0; round < 2000; ++round) {
    std::vector<Candidate> jobs;
    for (int i = 0; i < 30; ++i) jobs.push_back(make.Job(i));
    const auto offer = make.Offer();
    const QueuePolicy policy = make.Policy();
    const absl::Time now = kStart + absl::Hours(5);
    const auto chosen = ChooseJob(jobs, make.SomeShares(), offer, now, policy);
    int highest = 0;
    const auto level = [&](const Candidate& job) {
      return LevelOf(job.priority, now - job.queue_time, policy);
    };
    for (const Candidate& job : jobs) {
      if (CanRun(job.needs, offer)) highest = std::max(highest, level(job));
    }
    ASSERT_EQ(chosen.has_value(), highest > 0);
    if (!chosen) continue;
    EXPECT_TRUE(CanRun(jobs[*chosen].needs, offer));
    EXPECT_EQ(level(jobs[*chosen]), highest);
  }
}

// One worker, and tenants that always have jobs waiting: each is served by its weight, whatever the
// jobs take. The bound is that of start-time fair queueing.
TEST(ChooseJobTest, TenantsThatAlwaysWaitAreServedByTheirWeights) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    RandomQueue make(seed);
    QueuePolicy policy;
    policy.weights = {{"x", 1.0 + make.Below(5)}, {"y", 1.0 + make.Below(5)}, {"z", 0.5}};
    Shares shares;
    std::map<std::string, absl::Duration> served;
    const absl::Duration longest = absl::Seconds(100);
    for (int step = 0; step < 500; ++step) {
      const std::vector<Candidate> jobs = {JobFor(1, "x"), JobFor(2, "y"), JobFor(3, "z")};
      const auto chosen = ChooseJob(jobs, shares, OfferOf({"baseModels/a"}), kStart, policy);
      ASSERT_TRUE(chosen);
      const absl::Duration cost = absl::Seconds(1 + make.Below(100));
      ChargeTenant(jobs[*chosen].tenant, cost, policy, shares);
      served[jobs[*chosen].tenant] += cost;
      for (const char* one : {"x", "y", "z"}) {
        for (const char* other : {"x", "y", "z"}) {
          const double a = policy.WeightOf(one);
          const double b = policy.WeightOf(other);
          EXPECT_LE(served[one] / a - served[other] / b, longest / a + longest / b)
              << one << " against " << other << " at " << step << ", seed " << seed;
        }
      }
    }
  }
}

TEST(ChooseJobTest, TenantThatWasAwaySavesUpNothing) {
  Shares shares;
  for (int i = 0; i < 100; ++i) ChargeTenant("busy", absl::Minutes(1), {}, shares);
  std::vector<std::string> order;
  for (int i = 0; i < 6; ++i) {
    const std::vector<Candidate> jobs = {JobFor(1, "busy"), JobFor(2, "back")};
    const auto chosen = ChooseJob(jobs, shares, OfferOf({"baseModels/a"}), kStart, {});
    order.push_back(jobs[*chosen].tenant);
    ChargeTenant(order.back(), absl::Minutes(1), {}, shares);
  }
  EXPECT_THAT(order, ElementsAre("back", "busy", "back", "busy", "back", "busy"));
}

// More work than one worker can do, from tenants that call everything urgent: a job of the lowest
// priority still starts, at the latest when it has aged to the top and every other tenant has had
// its share for each of the jobs of its own tenant up to it.
TEST(ChooseJobTest, NothingStarvesUnderAnyArrivals) {
  const std::vector<std::string> tenants = {"x", "y", "z", "w"};
  for (uint32_t seed = 0; seed < 8; ++seed) {
    RandomQueue make(seed);
    QueuePolicy policy;
    for (const auto& tenant : tenants) policy.weights[tenant] = 1 + make.Below(3);
    const bool urgent_flood = seed % 2 == 0;
    std::vector<Candidate> waiting;
    std::map<int64_t, int> bound;  // of choices, from when the job came to the top level
    Shares shares;
    int64_t key = 0;
    absl::Duration clock;
    int started = 0;
    for (int step = 0; step < 3000; ++step) {
      clock += absl::Minutes(1);  // each job takes that long
      const int arrivals = make.Below(3) + (step % 500 == 0 ? 30 : 0);
      for (int i = 0; i < arrivals && step < 2000; ++i) {
        Candidate job = JobFor(++key, tenants[static_cast<size_t>(make.Below(4))], 5, clock);
        if (job.tenant == "w" || !urgent_flood) job.priority = 1 + make.Below(5);
        waiting.push_back(job);
      }
      for (const Candidate& job : waiting) {
        const absl::Duration waited = kStart + clock - job.queue_time;
        const bool at_top = waited >= (5 - job.priority) * policy.ageing;
        if (!at_top || bound.contains(job.key)) continue;
        const auto before = std::count_if(waiting.begin(), waiting.end(), [&](const auto& other) {
          return other.tenant == job.tenant && other.queue_time <= job.queue_time;
        });
        double rounds = 0;
        for (const auto& other : tenants) {
          rounds += policy.WeightOf(other) / policy.WeightOf(job.tenant) + 2;
        }
        bound[job.key] = static_cast<int>(static_cast<double>(before + 1) * rounds);
      }
      const auto chosen = ChooseJob(waiting, shares, OfferOf({"baseModels/a"}, {"baseModels/a"}),
                                    kStart + clock, policy);
      if (!chosen) continue;
      ChargeTenant(waiting[*chosen].tenant, absl::Minutes(1), policy, shares);
      waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(*chosen));
      ++started;
      for (const Candidate& job : waiting) {
        if (!bound.contains(job.key)) continue;
        ASSERT_GE(--bound[job.key], 0)
            << "job " << job.key << " of " << job.tenant << ", seed " << seed << ", step " << step;
      }
    }
    EXPECT_GT(started, 1500);
  }
}

}  // namespace
}  // namespace likeness::server
