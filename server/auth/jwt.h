// JSON web tokens of an identity provider: verified against its public keys, and read as callers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/auth/caller.h"

namespace likeness::server {

struct JwtOptions {
  std::string keys_file;  // JWKS or PEM, of public keys
  std::string issuer;     // `iss` must be this
  std::string audience;   // `aud` must be or hold this
  std::string tenant_claim = "tenant";
  std::string roles_claim = "roles";  // a list, or words with blanks between
};

// Immutable, hence thread-safe.
class JwtVerifier {
 public:
  // `keys`: what stands in the keys file. INVALID_ARGUMENT for anything but RSA keys of 2,048 bits
  // or more and keys on P-256.
  static absl::StatusOr<std::shared_ptr<const JwtVerifier>> Create(const JwtOptions& options,
                                                                   absl::string_view keys);
  ~JwtVerifier();

  // RS256 under an RSA key and ES256 under a P-256 key, nothing else, whatever the token says of
  // itself. It must not have expired, and never makes a worker. UNAUTHENTICATED says why not: for
  // the log, not for the caller.
  absl::StatusOr<Caller> Verify(absl::string_view token, absl::Time now) const;

 private:
  struct Key;
  explicit JwtVerifier(const JwtOptions& options);
  absl::Status AddJwks(absl::string_view text);
  absl::Status AddPem(absl::string_view text);
  absl::Status Add(Key key);
  absl::StatusOr<std::string> VerifiedClaims(absl::string_view token) const;
  absl::StatusOr<Caller> CallerOf(const std::string& claims, absl::Time now) const;

  const JwtOptions options_;
  std::vector<Key> keys_;
};

}  // namespace likeness::server
