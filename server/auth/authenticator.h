// Tells who calls, from what came with the call.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "server/auth/auth_file.h"
#include "server/auth/caller.h"
#include "server/auth/watched_file.h"

namespace likeness::server {

struct Credentials {
  std::optional<std::string> bearer{};       // of the metadata `authorization`
  std::optional<std::string> certificate{};  // the name in a client's verified certificate
};

// Thread-safe.
class Authenticator {
 public:
  // An empty path: no authentication, everybody is the default tenant. INVALID_ARGUMENT
  // (INVALID_AUTH_FILE).
  static absl::StatusOr<std::unique_ptr<Authenticator>> Open(const std::string& auth_file,
                                                             const Clock& clock);

  bool enabled() const { return file_ != nullptr; }

  // A bearer token counts before a certificate; a certificate makes a worker. UNAUTHENTICATED:
  // TOKEN_MISSING, TOKEN_INVALID (which tells nobody why).
  absl::StatusOr<Caller> Identify(const Credentials& credentials) const;

  // Reads the file again if it or the keys that it names have changed. One that is broken is
  // logged, and the old one holds. Not thread-safe in itself.
  void ReloadIfChanged();
  // Reads it again in any case.
  void Reload();

  // What the file allows this tenant.
  TenantLimits LimitsOf(const std::string& tenant) const;

  // Whether nothing has happened since the caller was let in that could have changed the answer.
  bool StillHolds(const Caller& caller) const;

 private:
  Authenticator(std::unique_ptr<WatchedFile> file, const Clock& clock)
      : file_(std::move(file)), clock_(clock) {}
  absl::Status Load();
  absl::StatusOr<Caller> IdentifyKey(const AuthConfig& config, const std::string& secret) const;
  std::string KeysFileOf(const AuthConfig& config) const;

  // What the file said when it was last read.
  struct Loaded {
    AuthConfig config;
    std::shared_ptr<const JwtVerifier> jwt;
    int64_t generation = 0;  // grows with every reading
  };
  std::shared_ptr<const Loaded> loaded() const;

  absl::StatusOr<Caller> IdentifyBearer(const Loaded& loaded, const std::string& token) const;

  const std::unique_ptr<WatchedFile> file_;
  std::unique_ptr<WatchedFile> keys_file_;  // of jwt, once it was looked at
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Loaded> loaded_ ABSL_GUARDED_BY(mutex_) = std::make_shared<Loaded>();
};

}  // namespace likeness::server
