// The keys that sign calls to webhooks, and the signature: that of Standard Webhooks
// (standardwebhooks.com), for which receivers find libraries in most languages.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace likeness::server {

// "v1,{base64 of HMAC-SHA256 under `key` over "{id}.{unix seconds}.{body}"}"
std::string WebhookSignature(absl::string_view key, absl::string_view id, absl::Time time,
                             absl::string_view body);

class WebhookSecrets {
 public:
  // None: there are no webhooks.
  WebhookSecrets() = default;

  // A file of lines "TENANT SECRET", where TENANT is a tenant's id or * for all that have no line
  // of their own, and SECRET is whsec_ and 24 to 64 bytes in base64. Several lines for one tenant
  // all sign, so that a secret can be changed without a gap. Errors name a line's number and never
  // what it says: INVALID_ARGUMENT (INVALID_FLAG).
  static absl::StatusOr<WebhookSecrets> Load(const std::string& path);
  static absl::StatusOr<WebhookSecrets> Parse(absl::string_view text);

  // The keys that sign calls about the tenant's jobs; empty: it can have no webhooks.
  const std::vector<std::string>& KeysOf(const std::string& tenant) const;

 private:
  std::map<std::string, std::vector<std::string>> keys_;
};

}  // namespace likeness::server
