#include "server/auth/jwt.h"

#include <cjose/cjose.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/resource_names.h"
#include "common/status_macros.h"

namespace likeness::server {
namespace {

using Json = nlohmann::json;

template <auto Release>
struct Releaser {
  template <typename T>
  void operator()(T* object) const {
    Release(object);
  }
};
using Jwk = std::unique_ptr<cjose_jwk_t, Releaser<cjose_jwk_release>>;
using Jws = std::unique_ptr<cjose_jws_t, Releaser<cjose_jws_release>>;
using PublicKey = std::unique_ptr<EVP_PKEY, Releaser<EVP_PKEY_free>>;
using Number = std::unique_ptr<BIGNUM, Releaser<BN_free>>;

constexpr absl::string_view kRs256 = "RS256";
constexpr absl::string_view kEs256 = "ES256";
constexpr absl::Duration kLeeway = absl::Seconds(30);  // between two machines' clocks
constexpr size_t kMaxKeys = 32;
constexpr size_t kMinRsaBits = 2048;

absl::Status Refused(absl::string_view why) { return absl::UnauthenticatedError(why); }

absl::Status BadKeys(absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("the keys of jwt: ", problem));
}

// Base64url without padding (RFC 7515, section 2). cjose ends the program over some of what is not.
bool IsBase64Url(absl::string_view text) {
  return text.size() % 4 != 1 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_';
         });
}

// Header, claims and signature, dots between.
bool IsCompactJws(absl::string_view token) {
  const std::vector<absl::string_view> parts = absl::StrSplit(token, '.');
  return parts.size() == 3 && std::all_of(parts.begin(), parts.end(), IsBase64Url);
}

std::string Text(const Json& object, const std::string& name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string Bytes(EVP_PKEY* key, const char* parameter) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, parameter, &raw) != 1) return "";
  const Number number(raw);
  std::string bytes(BN_num_bytes(number.get()), '\0');
  BN_bn2bin(number.get(), reinterpret_cast<unsigned char*>(bytes.data()));
  return bytes;
}

uint8_t* Data(std::string& bytes) { return reinterpret_cast<uint8_t*>(bytes.data()); }

Jwk FromPublicKey(EVP_PKEY* key) {
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
    std::string n = Bytes(key, OSSL_PKEY_PARAM_RSA_N);
    std::string e = Bytes(key, OSSL_PKEY_PARAM_RSA_E);
    cjose_jwk_rsa_keyspec spec = {};
    spec.n = Data(n);
    spec.nlen = n.size();
    spec.e = Data(e);
    spec.elen = e.size();
    return Jwk(cjose_jwk_create_RSA_spec(&spec, nullptr));
  }
  std::string x = Bytes(key, OSSL_PKEY_PARAM_EC_PUB_X);
  std::string y = Bytes(key, OSSL_PKEY_PARAM_EC_PUB_Y);
  cjose_jwk_ec_keyspec spec = {};
  spec.crv = CJOSE_JWK_EC_P_256;  // a point of another curve does not lie on this one
  spec.x = Data(x);
  spec.xlen = x.size();
  spec.y = Data(y);
  spec.ylen = y.size();
  return Jwk(x.empty() ? nullptr : cjose_jwk_create_EC_spec(&spec, nullptr));
}

// Claims that are dates: seconds since 1970. Nothing for anything else.
std::optional<absl::Time> Date(const Json& claims, const char* name) {
  const auto found = claims.find(name);
  if (found == claims.end() || !found->is_number()) return std::nullopt;
  return absl::UnixEpoch() + absl::Seconds(found->get<double>());
}

bool HasAudience(const Json& claims, const std::string& audience) {
  const auto found = claims.find("aud");
  if (found == claims.end()) return false;
  return *found == audience ||
         (found->is_array() && std::find(found->begin(), found->end(), audience) != found->end());
}

// What the provider calls roles may be more than ours, and none of it makes a worker or an
// operator.
Roles RolesIn(const Json& claims, const std::string& name) {
  Roles roles;
  const auto add = [&](absl::string_view word) {
    const auto role = ParseRole(word);
    if (role && *role != Role::kWorker && *role != Role::kOperator) roles.Add(*role);
  };
  for (const absl::string_view word : absl::StrSplit(Text(claims, name), ' ')) add(word);
  const auto found = claims.find(name);
  if (found == claims.end() || !found->is_array()) return roles;
  for (const Json& element : *found) {
    if (element.is_string()) add(element.get<std::string>());
  }
  return roles;
}

}  // namespace

struct JwtVerifier::Key {
  Jwk jwk;
  std::string id;                 // "" fits every token
  absl::string_view algorithm{};  // the one that this key is good for
};

JwtVerifier::JwtVerifier(const JwtOptions& options) : options_(options) {}
JwtVerifier::~JwtVerifier() = default;

absl::StatusOr<std::shared_ptr<const JwtVerifier>> JwtVerifier::Create(const JwtOptions& options,
                                                                       absl::string_view keys) {
  std::shared_ptr<JwtVerifier> verifier(new JwtVerifier(options));
  const bool pem = absl::StrContains(keys, "-----BEGIN");
  RETURN_IF_ERROR(pem ? verifier->AddPem(keys) : verifier->AddJwks(keys));
  if (verifier->keys_.empty()) return BadKeys("there is none");
  return verifier;
}

absl::Status JwtVerifier::Add(Key key) {
  if (!key.jwk) return BadKeys("one cannot be read");
  if (keys_.size() == kMaxKeys) return BadKeys(absl::StrCat("more than ", kMaxKeys));
  switch (cjose_jwk_get_kty(key.jwk.get(), nullptr)) {
    case CJOSE_JWK_KTY_RSA:
      if (cjose_jwk_get_keysize(key.jwk.get(), nullptr) < kMinRsaBits) {
        return BadKeys(absl::StrCat("an RSA key of less than ", kMinRsaBits, " bits"));
      }
      key.algorithm = kRs256;
      break;
    case CJOSE_JWK_KTY_EC:
      if (cjose_jwk_EC_get_curve(key.jwk.get(), nullptr) != CJOSE_JWK_EC_P_256) {
        return BadKeys("a curve that is not P-256");
      }
      key.algorithm = kEs256;
      break;
    default:
      return BadKeys("one is neither RSA nor EC; a shared secret cannot vouch for anybody");
  }
  keys_.push_back(std::move(key));
  return absl::OkStatus();
}

absl::Status JwtVerifier::AddJwks(absl::string_view text) {
  const Json jwks = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!jwks.is_object() || !jwks.contains("keys") || !jwks["keys"].is_array()) {
    return BadKeys("neither a JWKS nor PEM");
  }
  for (const Json& key : jwks["keys"]) {
    if (!key.is_object()) return BadKeys("one is not an object");
    const std::string use = Text(key, "use");
    if (!use.empty() && use != "sig") continue;
    for (const char* number : {"n", "e", "x", "y"}) {
      if (!IsBase64Url(Text(key, number))) {
        return BadKeys(absl::StrCat("\"", number, "\" of one is not base64url"));
      }
    }
    const std::string json = key.dump();
    RETURN_IF_ERROR(
        Add({Jwk(cjose_jwk_import(json.data(), json.size(), nullptr)), Text(key, "kid")}));
  }
  return absl::OkStatus();
}

absl::Status JwtVerifier::AddPem(absl::string_view text) {
  BIO* const bio = BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
  absl::Status status;
  while (status.ok()) {
    const PublicKey key(PEM_read_bio_PUBKEY(bio, nullptr, nullptr, nullptr));
    if (!key) break;
    status = Add({FromPublicKey(key.get()), ""});
  }
  BIO_free(bio);
  return status;
}

absl::StatusOr<Caller> JwtVerifier::Verify(absl::string_view token, absl::Time now) const {
  ASSIGN_OR_RETURN(const std::string claims, VerifiedClaims(token));
  return CallerOf(claims, now);
}

// The key decides about the algorithm, not the token: HS256 under a public key as if it were a
// shared secret, and "none", find no key.
absl::StatusOr<std::string> JwtVerifier::VerifiedClaims(absl::string_view token) const {
  const Jws jws(IsCompactJws(token) ? cjose_jws_import(token.data(), token.size(), nullptr)
                                    : nullptr);
  if (!jws) return Refused("it is no signed token");
  cjose_header_t* const header = cjose_jws_get_protected(jws.get());
  const auto attribute = [header](const char* name) -> absl::string_view {
    const char* value = cjose_header_get(header, name, nullptr);
    return value ? value : "";
  };
  if (char* critical = cjose_header_get_raw(header, "crit", nullptr)) {
    cjose_get_dealloc()(critical);
    return Refused("it demands an extension");
  }
  const absl::string_view algorithm = attribute(CJOSE_HDR_ALG);
  const absl::string_view key_id = attribute(CJOSE_HDR_KID);
  for (const Key& key : keys_) {
    if (key.algorithm != algorithm) continue;
    if (!key_id.empty() && !key.id.empty() && key.id != key_id) continue;
    if (!cjose_jws_verify(jws.get(), key.jwk.get(), nullptr)) continue;
    uint8_t* bytes = nullptr;
    size_t size = 0;
    if (!cjose_jws_get_plaintext(jws.get(), &bytes, &size, nullptr)) break;
    return std::string(reinterpret_cast<const char*>(bytes), size);
  }
  return Refused("no key vouches for it");
}

absl::StatusOr<Caller> JwtVerifier::CallerOf(const std::string& text, absl::Time now) const {
  const Json claims = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!claims.is_object()) return Refused("its claims are no object");
  if (Text(claims, "iss") != options_.issuer) return Refused("another issuer");
  if (!HasAudience(claims, options_.audience)) return Refused("another audience");
  const auto expires = Date(claims, "exp");
  if (!expires) return Refused("it never expires");
  if (now >= *expires + kLeeway) return Refused("it has expired");
  if (claims.contains("nbf")) {
    const auto begins = Date(claims, "nbf");
    if (!begins || now < *begins - kLeeway) return Refused("it is not good yet");
  }
  Caller caller;
  caller.tenant = Text(claims, options_.tenant_claim);
  if (!IsResourceId(caller.tenant)) return Refused("it names no tenant");
  caller.roles = RolesIn(claims, options_.roles_claim);
  caller.id = absl::StrCat("jwt:", Text(claims, "sub").substr(0, 200));
  caller.expire_time = *expires + kLeeway;
  return caller;
}

}  // namespace likeness::server
