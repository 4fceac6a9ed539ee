#include "server/metrics/metrics.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace likeness::server {
namespace {

using ::testing::HasSubstr;

constexpr auto kUnknownState = static_cast<v1::JobState>(99);

TEST(MetricsTest, WhatANewerServerHasStoredIsCountedAsOther) {
  Metrics metrics;
  metrics.ObserveChange({.name = "tenants/a/jobs/b",
                         .method = "alchemy",
                         .from = v1::JOB_STATE_PENDING,
                         .to = v1::JOB_STATE_RUNNING});
  metrics.ObserveChange({.method = "generate",
                         .from = v1::JOB_STATE_RUNNING,
                         .to = kUnknownState,
                         .run_time = absl::Seconds(1)});
  metrics.ObserveChange({.method = "alchemy",
                         .from = v1::JOB_STATE_RUNNING,
                         .to = v1::JOB_STATE_FAILED,
                         .run_time = absl::Seconds(1)});
  const std::string page = metrics.Page(
      {.jobs = {{.state = v1::JOB_STATE_PENDING, .method = "alchemy", .count = 2},
                {.state = v1::JOB_STATE_PENDING, .method = "magic", .priority = 99, .count = 3},
                {.state = kUnknownState, .method = "generate", .count = 4}}});
  for (const char* line : {
           "likeness_job_transitions_total{method=\"other\",state=\"running\"} 1",
           "likeness_job_transitions_total{method=\"generate\",state=\"other\"} 1",
           "likeness_job_run_seconds_count{method=\"other\",state=\"failed\"} 1",
           "likeness_jobs{method=\"other\",state=\"pending\"} 5",
           "likeness_jobs{method=\"generate\",state=\"other\"} 4",
           "likeness_queue_jobs{method=\"other\",priority=\"1\"} 2",
           "likeness_queue_jobs{method=\"other\",priority=\"5\"} 3",
       }) {
    EXPECT_THAT(page, HasSubstr(std::string(line) + "\n"));
  }
}

TEST(MetricsTest, CallsAndOutcomesThatAreNotKnownAreCountedAsOther) {
  Metrics metrics;
  metrics.RpcBegins("PauseJob");
  metrics.ObserveRpc("PauseJob", static_cast<absl::StatusCode>(-1), absl::Seconds(1));
  metrics.ObserveFailure("PauseJob");
  metrics.ObserveWebhook("postponed", absl::Seconds(1));
  const std::string page = metrics.Page({});
  EXPECT_THAT(page, HasSubstr("likeness_rpc_total{code=\"UNKNOWN\",method=\"other\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("likeness_rpc_under_way{method=\"other\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("likeness_rpc_failures_total{method=\"other\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("likeness_rpc_failures_total{method=\"GetJob\"} 0\n"));
}

TEST(MetricsTest, AScrapeShowsTheJobsOfItsMomentAlone) {
  Metrics metrics;
  const Metrics::Snapshot busy = {.jobs = {{.state = v1::JOB_STATE_PENDING,
                                            .method = "generate",
                                            .priority = 3,
                                            .count = 9,
                                            .scheduled = 4,
                                            .over_quota = 3}}};
  metrics.Page(busy);
  const std::string page = metrics.Page(busy);
  EXPECT_THAT(page, HasSubstr("likeness_jobs{method=\"generate\",state=\"pending\"} 9\n"));
  EXPECT_THAT(page, HasSubstr("likeness_queue_jobs{method=\"generate\",priority=\"3\"} 2\n"));
  EXPECT_THAT(page,
              HasSubstr("likeness_queue_held_jobs{method=\"generate\",reason=\"scheduled\"} 4\n"));
  EXPECT_THAT(page,
              HasSubstr("likeness_queue_held_jobs{method=\"generate\",reason=\"quota\"} 3\n"));
  EXPECT_THAT(metrics.Page({}),
              HasSubstr("likeness_queue_jobs{method=\"generate\",priority=\"3\"} 0\n"));
}

}  // namespace
}  // namespace likeness::server
