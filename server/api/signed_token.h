// Tokens that clients hand back to us: readable by nobody who does not try, and refused when they
// were changed.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

struct evp_mac_ctx_st;  // OpenSSL's EVP_MAC_CTX

namespace likeness::server {

// Thread-safe.
class TokenSigner {
 public:
  explicit TokenSigner(absl::string_view key);
  ~TokenSigner();
  TokenSigner(const TokenSigner&) = delete;
  TokenSigner& operator=(const TokenSigner&) = delete;

  // URL-safe text. `purpose` ("page", "watch") keeps one kind of token from passing for another.
  std::string Sign(absl::string_view purpose, absl::string_view payload) const;

  // The payload, or nothing when this key did not sign it for this purpose.
  std::optional<std::string> Open(absl::string_view purpose, absl::string_view token) const;

 private:
  std::string Mac(absl::string_view purpose, absl::string_view payload) const;

  mutable std::mutex mutex_;
  evp_mac_ctx_st* const mac_;  // holds the key; in use under the mutex
};

}  // namespace likeness::server
