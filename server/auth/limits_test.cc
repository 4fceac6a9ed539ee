// How often one may call, as functions of a clock; and the file that says who changed what.
#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error_details.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/auth/audit_log.h"
#include "server/auth/auth_file.h"
#include "server/auth/call_limits.h"
#include "server/auth/rate_limiter.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

using ::likeness::testing::TempFolder;

constexpr RateLimit kTwoASecond = {.per_second = 2, .burst = 4};
const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

TEST(TokenBucketTest, FullBucketGivesItsBurstAndThenItsRate) {
  TokenBucket bucket;
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(Take(bucket, kTwoASecond, 1, kStart), absl::ZeroDuration()) << i;
  }
  EXPECT_EQ(Take(bucket, kTwoASecond, 1, kStart), absl::Milliseconds(500));
  EXPECT_EQ(Take(bucket, kTwoASecond, 1, kStart + absl::Milliseconds(400)),
            absl::Milliseconds(100));
  EXPECT_EQ(Take(bucket, kTwoASecond, 1, kStart + absl::Milliseconds(500)), absl::ZeroDuration());
}

TEST(TokenBucketTest, WaitingAsLongAsToldIsEnough) {
  TokenBucket bucket;
  absl::Time now = kStart;
  int taken = 0;
  for (int i = 0; i < 100; ++i) {
    const absl::Duration wait = Take(bucket, {.per_second = 7, .burst = 3}, 1, now);
    wait == absl::ZeroDuration() ? void(++taken) : void(now += wait + absl::Nanoseconds(1));
  }
  EXPECT_EQ(taken, 51) << "three at once, then one after each wait";
}

TEST(TokenBucketTest, DearCallEmptiesASmallBucketAndNoMore) {
  TokenBucket bucket;
  EXPECT_EQ(Take(bucket, kTwoASecond, 100, kStart), absl::ZeroDuration());
  EXPECT_EQ(Take(bucket, kTwoASecond, 100, kStart), absl::Seconds(2)) << "a full bucket again";
}

TEST(TokenBucketTest, ClockThatGoesBackBringsNothing) {
  TokenBucket bucket;
  for (int i = 0; i < 4; ++i) Take(bucket, kTwoASecond, 1, kStart);
  EXPECT_GT(Take(bucket, kTwoASecond, 1, kStart - absl::Hours(1)), absl::ZeroDuration());
  EXPECT_GT(Take(bucket, kTwoASecond, 1, kStart), absl::ZeroDuration());
}

TEST(CallLimitsTest, TenantsDoNotTakeFromEachOther) {
  CallLimits limits;
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(limits.CheckRate("acme", kTwoASecond, 1, kStart).ok());
  }
  const auto refused = limits.CheckRate("acme", kTwoASecond, 1, kStart);
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_EQ(ErrorReason(refused), "RATE_LIMITED");
  EXPECT_EQ(RetryDelay(refused), absl::Milliseconds(500));
  EXPECT_TRUE(limits.CheckRate("umbrella", kTwoASecond, 1, kStart).ok());
}

TEST(RateLimiterTest, OthersLimitsDoNotFillABucket) {
  constexpr RateLimit kSlow = {.per_second = 0.01, .burst = 100};
  constexpr RateLimit kSmall = {.per_second = 10, .burst = 1};
  RateLimiter limiter(2);
  // 40 tokens are left: not full, though more than a small bucket ever holds.
  EXPECT_EQ(limiter.Take("acme", kSlow, 60, kStart), absl::ZeroDuration());
  EXPECT_EQ(limiter.Take("zoo", kSmall, 1, kStart), absl::ZeroDuration());
  const absl::Time later = kStart + absl::Seconds(1);  // zoo's is full again, and forgotten
  EXPECT_EQ(limiter.Take("umbrella", kSmall, 1, later), absl::ZeroDuration());
  EXPECT_GT(limiter.Take("acme", kSlow, 60, later), absl::ZeroDuration()) << "forgotten, and full";
}

TEST(CallLimitsTest, PeersThatFailTooOftenAreToldToWait) {
  CallLimits limits;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(limits.CheckFailure("ipv4:10.0.0.1", kStart).ok());
  const auto refused = limits.CheckFailure("ipv4:10.0.0.1", kStart);
  EXPECT_EQ(ErrorReason(refused), "TOO_MANY_FAILURES");
  EXPECT_EQ(RetryDelay(refused), absl::Seconds(1));
  EXPECT_TRUE(limits.CheckFailure("ipv4:10.0.0.2", kStart).ok());
  EXPECT_TRUE(limits.CheckFailure("ipv4:10.0.0.1", kStart + absl::Seconds(1)).ok());
}

TEST(RateLimiterTest, NamesAreForgottenWhenTheyAreFullAgain) {
  RateLimiter limiter(100);
  const auto take = [&](int name, absl::Time now) {
    return limiter.Take(absl::StrCat(name), kTwoASecond, 1, now) == absl::ZeroDuration();
  };
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(take(i, kStart));
  EXPECT_FALSE(take(100, kStart)) << "bounded, whatever comes";
  EXPECT_TRUE(take(100, kStart + absl::Seconds(1)));
}

TEST(ErrorDetailsTest, SurviveTheWire) {
  const auto status = FromGrpcStatus(ToGrpcStatus(
      WithRetryDelay(QuotaExceeded("tenants/acme", "3 jobs wait", "max_pending_jobs", 3),
                     absl::Milliseconds(1500))));
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(ErrorReason(status), "QUOTA_EXCEEDED");
  EXPECT_EQ(RetryDelay(status), absl::Milliseconds(1500));
  EXPECT_EQ(QuotaSubject(status), "tenants/acme");
  EXPECT_EQ(MetadataOf(status).at("quota"), "max_pending_jobs");
  EXPECT_EQ(MetadataOf(status).at("limit"), "3");
  EXPECT_EQ(RetryDelay(absl::InternalError("x")), std::nullopt);
}

TEST(TenantLimitsTest, AreReadFromTheAuthFile) {
  const auto config = ParseAuthFile(R"({"tenants": {
    "acme": {"max_pending_jobs": 3, "max_running_jobs": 2, "max_stored_bytes": 5e9,
             "worker_seconds_per_day": 3600, "calls_per_second": 10, "calls_burst": 50},
    "beta": {"calls_per_second": 0.05},
    "*": {"calls_per_second": 5}}})");
  ASSERT_TRUE(config.ok()) << config.status();
  const TenantLimits& acme = config->tenants.at("acme");
  EXPECT_EQ(acme.jobs.max_pending_jobs, 3);
  EXPECT_EQ(acme.jobs.max_running_jobs, 2);
  EXPECT_EQ(acme.stored_bytes, 5'000'000'000);
  EXPECT_EQ(acme.jobs.worker_time_per_day, absl::Hours(1));
  EXPECT_EQ(acme.jobs.worker_time_per_month, absl::InfiniteDuration());
  EXPECT_EQ(acme.calls->burst, 50);
  EXPECT_EQ(config->tenants.at("*").calls->burst, 50) << "ten seconds' worth";
  EXPECT_EQ(config->tenants.at("beta").calls->burst, 1) << "one call at least";
  for (const char* wrong :
       {R"({"tenants": {"acme": {"max_pending_job": 3}}})", R"({"tenants": {"A/b": {}}})",
        R"({"tenants": {"acme": {"max_pending_jobs": -1}}})",
        R"({"tenants": {"acme": {"max_pending_jobs": "3"}}})",
        R"({"tenants": {"acme": {"calls_burst": 3}}})",
        R"({"tenants": {"acme": {"calls_per_second": 0}}})", R"({"tenants": []})"}) {
    EXPECT_EQ(ErrorReason(ParseAuthFile(wrong).status()), "INVALID_AUTH_FILE") << wrong;
  }
}

class AuditLogTest : public ::testing::Test {
 protected:
  static std::vector<nlohmann::json> Lines(const std::string& path) {
    std::ifstream file(path);
    std::vector<nlohmann::json> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

  TempFolder folder_;
  const std::string path_ = folder_.path() + "/audit.jsonl";
};

TEST_F(AuditLogTest, LinesAreWholeWhoeverWritesThem) {
  auto log = *AuditLog::Open(path_);
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i) {
    writers.emplace_back([&] {
      for (int j = 0; j < 50; ++j) {
        log->Write({.time = kStart,
                    .caller = "k1",
                    .method = "CancelJob",
                    .resource = std::string(300, 'x')});
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(Lines(path_).size(), 400u);
}

TEST_F(AuditLogTest, NothingACallerSaysBreaksALine) {
  auto log = *AuditLog::Open(path_);
  log->Write({.time = kStart, .resource = "a\"\n{}\\ \xff\x01 \xe2\x82\xac", .code = "OK"});
  log->Write({.time = kStart, .code = "OK"});
  const auto lines = Lines(path_);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["time"], "2027-01-15T08:00:00.000Z");
  EXPECT_EQ(lines[0].count("reason"), 0u);
}

TEST_F(AuditLogTest, GoesOnInANewFileAfterTheOldOneWasMovedAway) {
  auto log = *AuditLog::Open(path_);
  log->Write({.time = kStart, .method = "first"});
  std::rename(path_.c_str(), (path_ + ".1").c_str());
  log->Write({.time = kStart, .method = "second"});
  log->Reopen();
  log->Write({.time = kStart, .method = "third"});
  EXPECT_EQ(Lines(path_ + ".1").size(), 2u);
  ASSERT_EQ(Lines(path_).size(), 1u);
  EXPECT_EQ(Lines(path_)[0]["method"], "third");
}

TEST_F(AuditLogTest, FileThatIsThereIsAppendedTo) {
  (*AuditLog::Open(path_))->Write({.time = kStart, .method = "before"});
  (*AuditLog::Open(path_))->Write({.time = kStart, .method = "after"});
  EXPECT_EQ(Lines(path_).size(), 2u);
  EXPECT_EQ(ErrorReason(AuditLog::Open(folder_.path() + "/no/where").status()), "AUDIT_LOG");
}

}  // namespace
}  // namespace likeness::server
