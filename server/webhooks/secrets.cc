#include "server/webhooks/secrets.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <fstream>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"

namespace likeness::server {
namespace {

constexpr size_t kMinKeyBytes = 24;
constexpr size_t kMaxKeyBytes = 64;
constexpr char kEveryTenant[] = "*";

absl::Status WrongFile(absl::string_view description) {
  return InvalidField("--webhook-secrets", description, "INVALID_FLAG");
}

}  // namespace

std::string WebhookSignature(absl::string_view key, absl::string_view id, absl::Time time,
                             absl::string_view body) {
  const std::string text = absl::StrCat(id, ".", absl::ToUnixSeconds(time), ".", body);
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       reinterpret_cast<unsigned char*>(digest.data()), &size);
  digest.resize(size);
  return absl::StrCat("v1,", absl::Base64Escape(digest));
}

absl::StatusOr<WebhookSecrets> WebhookSecrets::Load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return WrongFile(absl::StrCat("\"", path, "\" cannot be read, or is empty"));
  return Parse(text.str());
}

absl::StatusOr<WebhookSecrets> WebhookSecrets::Parse(absl::string_view text) {
  WebhookSecrets secrets;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.empty() || words[0][0] == '#') continue;
    if (words.size() != 2 || (words[0] != kEveryTenant && !IsResourceId(words[0]))) {
      return WrongFile(absl::StrCat("line ", number, " is not of the form \"TENANT SECRET\""));
    }
    absl::string_view encoded = words[1];
    std::string key;
    if (!absl::ConsumePrefix(&encoded, "whsec_") || !absl::Base64Unescape(encoded, &key) ||
        key.size() < kMinKeyBytes || key.size() > kMaxKeyBytes) {
      return WrongFile(absl::StrCat("line ", number, ": the secret is not whsec_ and ",
                                    kMinKeyBytes, " to ", kMaxKeyBytes, " bytes in base64"));
    }
    secrets.keys_[words[0]].push_back(std::move(key));
  }
  if (secrets.keys_.empty()) return WrongFile("the file names no secret");
  return secrets;
}

const std::vector<std::string>& WebhookSecrets::KeysOf(const std::string& tenant) const {
  static const auto& none = *new std::vector<std::string>;
  auto found = keys_.find(tenant);
  if (found == keys_.end()) found = keys_.find(kEveryTenant);
  return found == keys_.end() ? none : found->second;
}

}  // namespace likeness::server
