#include "server/api/signed_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace likeness::server {
namespace {

constexpr size_t kMacBytes = 16;

}  // namespace

std::string TokenSigner::Mac(absl::string_view purpose, absl::string_view payload) const {
  const std::string message = absl::StrCat(purpose, ":", payload);
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
       reinterpret_cast<const unsigned char*>(message.data()), message.size(), mac, &size);
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
