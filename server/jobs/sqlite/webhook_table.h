// Calls to webhooks as rows. Call the writing functions inside a transaction.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "server/jobs/sqlite/database.h"
#include "server/jobs/webhook_calls.h"

namespace likeness::server {

// Of a tenant at most so many calls wait, besides those about progress.
inline constexpr int kMostWebhookCalls = 10'000;

// Adds the calls that the record's new events make necessary, and drops what its end has made idle.
// Returns how many of the tenant's oldest had to make room. `now` is on the queue's clock, as are
// all times here.
absl::StatusOr<int> InsertWebhookCalls(Database& database, const JobRecord& record, absl::Time now);

absl::StatusOr<WebhookPage> ReadDueWebhookCalls(Database& database, const WebhookQuery& query);

absl::Status RecordWebhookCall(Database& database, const WebhookVerdict& verdict);

absl::StatusOr<int64_t> CountWebhookRows(Database& database);

}  // namespace likeness::server
