// Whether a job may name a webhook.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "likeness/v1/job.pb.h"
#include "server/webhooks/addresses.h"
#include "server/webhooks/secrets.h"

namespace likeness::server {

// FAILED_PRECONDITION (WEBHOOKS_DISABLED) when there is no secret to sign calls with.
// INVALID_ARGUMENT (INVALID_WEBHOOK) unless the URL is an absolute http or https one of at most
// 2,000 printable ASCII bytes, without user name and password; also when it names an address itself
// that may not be called. The URL, which may hold a secret, is not quoted.
absl::Status CheckWebhook(const std::string& tenant, const v1::Webhook& webhook,
                          const WebhookSecrets& secrets, const AddressRules& addresses);

}  // namespace likeness::server
