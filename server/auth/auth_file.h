// The file that says who may call: API keys, by their hashes.
//
//   {"keys": [{"id": "k3x9...", "tenant": "acme", "roles": ["submit", "read"],
//              "sha256": "...", "create_time": "2026-11-24T10:00:00Z"}],
//    "jwt": {"keys_file": "jwks.json", "issuer": "https://id.example.com", "audience": "likeness"},
//    "tenants": {"acme": {"max_pending_jobs": 100}, "*": {"max_pending_jobs": 10}}}
//
// A key's secret is lk_{id}_{64 hex digits}. Its 256 bits are drawn, not chosen by a person, so one
// SHA-256 keeps it as well as a slow hash would; see docs/decisions.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/auth/jwt.h"
#include "server/auth/roles.h"
#include "server/auth/tenant_limits.h"

namespace likeness::server {

struct ApiKey {
  std::string id{};
  std::string tenant{};  // empty for a worker's key
  Roles roles{};
  std::string sha256{};  // of the whole secret
  absl::Time create_time = absl::InfinitePast();
  absl::Time expire_time = absl::InfiniteFuture();
  std::string note{};  // what it is for, in the words of whoever made it
};

struct AuthConfig {
  std::map<std::string, ApiKey, std::less<>> keys;  // by id
  std::optional<JwtOptions> jwt;
  std::map<std::string, TenantLimits, std::less<>> tenants;  // "*" is for all others
};

// INVALID_ARGUMENT (INVALID_AUTH_FILE) says what is wrong, and where. Names and values that are not
// known are refused: a misspelt restriction must not be no restriction.
absl::StatusOr<AuthConfig> ParseAuthFile(absl::string_view text);

// The id in a secret; empty when it is none.
absl::string_view KeyIdOf(absl::string_view secret);

// --- Changing the file. Each call takes a lock, reads, and replaces the file as a whole; what it
// does not know of is kept. A file that is not there is made.

struct NewKey {
  std::string secret;  // never to be seen again
  std::string id;
};
// INVALID_ARGUMENT for a tenant or roles that make no sense.
absl::StatusOr<NewKey> CreateKey(const std::string& path, const ApiKey& wanted);

// NOT_FOUND (KEY_NOT_FOUND).
absl::Status RevokeKey(const std::string& path, const std::string& id);

// The whole file. NOT_FOUND, INVALID_ARGUMENT.
absl::StatusOr<std::string> ReadAuthFile(const std::string& path);

}  // namespace likeness::server
