#include "server/api/signed_token.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace likeness::server {
namespace {

constexpr size_t kMacBytes = 16;

// HMAC with SHA-256 under `key`, ready for the first message.
EVP_MAC_CTX* NewMac(absl::string_view key) {
  EVP_MAC* const algorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  EVP_MAC_CTX* const mac = EVP_MAC_CTX_new(algorithm);
  EVP_MAC_free(algorithm);
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  // It fails where there is no memory, or no SHA-256.
  if (EVP_MAC_init(mac, reinterpret_cast<const unsigned char*>(key.data()), key.size(),
                   parameters) != 1) {
    std::abort();
  }
  return mac;
}

}  // namespace

TokenSigner::TokenSigner(absl::string_view key) : mac_(NewMac(key)) {}

TokenSigner::~TokenSigner() { EVP_MAC_CTX_free(mac_); }

std::string TokenSigner::Mac(absl::string_view purpose, absl::string_view payload) const {
  const std::string message = absl::StrCat(purpose, ":", payload);
  unsigned char mac[EVP_MAX_MD_SIZE];
  size_t size = 0;
  std::lock_guard lock(mutex_);
  // Made anew for each token, with its key, it would take ten times as long.
  const bool made = EVP_MAC_init(mac_, nullptr, 0, nullptr) == 1 &&
                    EVP_MAC_update(mac_, reinterpret_cast<const unsigned char*>(message.data()),
                                   message.size()) == 1 &&
                    EVP_MAC_final(mac_, mac, &size, sizeof(mac)) == 1;
  if (!made || size < kMacBytes) std::abort();  // a token without it would pass for another
  return std::string(reinterpret_cast<const char*>(mac), kMacBytes);
}

std::string TokenSigner::Sign(absl::string_view purpose, absl::string_view payload) const {
  return absl::WebSafeBase64Escape(absl::StrCat(Mac(purpose, payload), payload));
}

std::optional<std::string> TokenSigner::Open(absl::string_view purpose,
                                             absl::string_view token) const {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(token, &bytes) || bytes.size() < kMacBytes) return std::nullopt;
  const std::string payload = bytes.substr(kMacBytes);
  const std::string mac = Mac(purpose, payload);
  if (CRYPTO_memcmp(mac.data(), bytes.data(), kMacBytes) != 0) return std::nullopt;
  return payload;
}

}  // namespace likeness::server
