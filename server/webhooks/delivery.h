// One call to a webhook as pure functions: what is sent, and what follows from the answer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/jobs/webhook_calls.h"
#include "server/webhooks/http_poster.h"

namespace likeness::server {

struct WebhookRetryPolicy {
  absl::Duration first_delay = absl::Seconds(1);  // doubles with every further attempt
  absl::Duration max_delay = absl::Minutes(10);
  absl::Duration give_up_after = absl::Hours(24);  // since the event
};

// How an attempt ended, as metrics spell it: "delivered", "rejected" (an answer other than 2xx),
// "unreachable" (none), "refused" (an address that is not allowed).
const char* OutcomeOf(const HttpAnswer& answer);
inline constexpr const char* kWebhookOutcomes[] = {"delivered", "rejected", "unreachable",
                                                   "refused"};

// The call as signed JSON, sent at `time`.
HttpPost PostOf(const v1::WebhookCall& call, const std::vector<std::string>& keys, absl::Time time);

// When to repeat a call whose `attempts`-th attempt failed at `now`; nothing when it is given up.
// `chance` from 0 to 1 spreads calls that failed together.
std::optional<absl::Time> NextAttempt(int attempts, absl::Time create_time, absl::Time now,
                                      double chance, const WebhookRetryPolicy& policy);

}  // namespace likeness::server
