// Calls to webhooks: kept from their event's commit to their verdict.
#include "server/jobs/contract/job_store_contract.h"

namespace likeness::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

NewJob WithWebhook(NewJob job, std::vector<v1::WebhookEvent> events) {
  job.job.mutable_webhook()->set_url("https://receiver.example/hook");
  for (const v1::WebhookEvent event : events) job.job.mutable_webhook()->add_events(event);
  return job;
}

WebhookPage Due(JobStore& store, absl::Time now, WebhookQuery query = {}) {
  query.now = now;
  query.limit = 100;
  auto page = store.DueWebhookCalls(query);
  EXPECT_TRUE(page.ok()) << page.status();
  return page.value_or(WebhookPage());
}

std::vector<int64_t> Seqs(const WebhookPage& page) {
  std::vector<int64_t> seqs;
  for (const WebhookTask& task : page.due) seqs.push_back(task.seq);
  return seqs;
}

TEST_P(JobStoreTest, StateChangesWaitForTheirWebhookThoughTheJobBeDeleted) {
  ASSERT_TRUE(store().Create(WithWebhook(PictureJob("a"), {v1::WEBHOOK_EVENT_STATE_CHANGE})).ok());
  Create("without");
  const auto lease = AcquireAs("w");
  EXPECT_FALSE(lease.job().has_webhook()) << "workers do not see it";
  ASSERT_TRUE(Renew(lease.lease_token(), 1).ok());
  ASSERT_TRUE(Complete(lease.lease_token()).ok());
  ASSERT_TRUE(store().Delete({"default", "a"}, "").ok());
  Reopen();
  const auto page = Due(store(), clock_.Now());
  EXPECT_THAT(Seqs(page), ElementsAre(1, 2, 4));
  EXPECT_EQ(page.due[0].call.id(), "uid-a-1");
  EXPECT_EQ(page.due[2].call.job().state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(page.due[2].call.event().state_change().to(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_FALSE(page.due[2].call.event().state_change().has_job());
}

TEST_P(JobStoreTest, WebhookHearsTheLatestProgressEveryHalfSecond) {
  ASSERT_TRUE(store().Create(WithWebhook(PictureJob("a"), {v1::WEBHOOK_EVENT_PROGRESS})).ok());
  const auto token = AcquireAs("w").lease_token();
  const absl::Time start = clock_.Now();
  ASSERT_TRUE(Renew(token, 1).ok());
  clock_.Advance(absl::Milliseconds(400));
  ASSERT_TRUE(Renew(token, 2).ok());
  EXPECT_THAT(Seqs(Due(store(), clock_.Now())), IsEmpty());
  EXPECT_EQ(Due(store(), clock_.Now()).next_due, start + kProgressInterval);
  clock_.Advance(absl::Milliseconds(100));
  const auto first = Due(store(), clock_.Now());
  ASSERT_EQ(first.due.size(), 1u);
  EXPECT_EQ(first.due[0].call.job().progress().done(), 2);
  // While it is under way, the next one takes its place, and waits for its time.
  ASSERT_TRUE(Renew(token, 3).ok());
  const absl::Time next = clock_.Now() + kProgressInterval;
  ASSERT_TRUE(store()
                  .RecordWebhookCalls(
                      {{.key = first.due[0].key, .seq = first.due[0].seq, .next_progress = next}})
                  .ok());
  EXPECT_EQ(Due(store(), clock_.Now()).next_due, next);
  EXPECT_EQ(Due(store(), next).due.at(0).call.job().progress().done(), 3);
  // What came before the end is no news after it.
  ASSERT_TRUE(Complete(token).ok());
  EXPECT_EQ(*store().CountWebhookCalls(), 0);
}

TEST_P(JobStoreTest, WebhookCallIsRepeatedUntilItsVerdict) {
  ASSERT_TRUE(store().Create(WithWebhook(PictureJob("a"), {v1::WEBHOOK_EVENT_STATE_CHANGE})).ok());
  const auto task = Due(store(), clock_.Now()).due.at(0);
  EXPECT_THAT(Seqs(Due(store(), clock_.Now(), {.except = {task.key}})), IsEmpty());
  EXPECT_THAT(Seqs(Due(store(), clock_.Now(),
                       {.except_receivers = {{"other", "http://a'\"\\b"},
                                             {"default", "https://receiver.example"}}})),
              IsEmpty());
  EXPECT_EQ(Seqs(Due(store(), clock_.Now(),
                     {.except_receivers = {{"other", "https://receiver.example"}}}))
                .size(),
            1u);
  EXPECT_THAT(Seqs(Due(store(), clock_.Now(), {.except_tenants = {"other", "default"}})),
              IsEmpty());
  WebhookVerdict verdict = {.key = task.key, .seq = task.seq};
  verdict.repeat = clock_.Now() + absl::Seconds(1);
  ASSERT_TRUE(store().RecordWebhookCalls({verdict}).ok());
  Reopen();
  EXPECT_THAT(Seqs(Due(store(), clock_.Now())), IsEmpty());
  EXPECT_EQ(Due(store(), *verdict.repeat).due.at(0).attempts, 1);
  verdict.repeat.reset();
  ASSERT_TRUE(store().RecordWebhookCalls({verdict}).ok());
  EXPECT_EQ(*store().CountWebhookCalls(), 0);
}

}  // namespace
}  // namespace likeness::server
