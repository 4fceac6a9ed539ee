// Tokens made by OpenSSL: good ones, and every way of being bad.
#include "server/auth/jwt.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/auth/authenticator.h"
#include "tests/support/certificates.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

using Json = nlohmann::json;
using ::likeness::testing::JoseSignature;
using ::likeness::testing::NewEcKey;
using ::likeness::testing::NewRsaKey;
using ::likeness::testing::PrivateKey;
using ::likeness::testing::PublicPem;
using ::likeness::testing::TempFolder;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

std::string Base64(absl::string_view bytes) { return absl::WebSafeBase64Escape(bytes); }

std::string Hmac(const std::string& secret, const std::string& text) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
  return std::string(reinterpret_cast<const char*>(mac), size);
}

std::string Component(const PrivateKey& key, const char* name) {
  BIGNUM* number = nullptr;
  EVP_PKEY_get_bn_param(key.get(), name, &number);
  std::string bytes(BN_num_bytes(number), '\0');
  BN_bn2bin(number, reinterpret_cast<unsigned char*>(bytes.data()));
  BN_free(number);
  return Base64(bytes);
}

Json RsaJwk(const PrivateKey& key, const std::string& id) {
  return {{"kty", "RSA"},
          {"kid", id},
          {"use", "sig"},
          {"n", Component(key, OSSL_PKEY_PARAM_RSA_N)},
          {"e", Component(key, OSSL_PKEY_PARAM_RSA_E)}};
}

Json EcJwk(const PrivateKey& key, const std::string& id) {
  const auto coordinate = [&](const char* name) {
    BIGNUM* number = nullptr;
    EVP_PKEY_get_bn_param(key.get(), name, &number);
    std::string bytes(32, '\0');
    BN_bn2binpad(number, reinterpret_cast<unsigned char*>(bytes.data()), 32);
    BN_free(number);
    return Base64(bytes);
  };
  return {{"kty", "EC"},
          {"crv", "P-256"},
          {"kid", id},
          {"x", coordinate(OSSL_PKEY_PARAM_EC_PUB_X)},
          {"y", coordinate(OSSL_PKEY_PARAM_EC_PUB_Y)}};
}

class JwtTest : public ::testing::Test {
 protected:
  static std::string Unsigned(const Json& header, const Json& claims) {
    return absl::StrCat(Base64(header.dump()), ".", Base64(claims.dump()));
  }
  std::string Token(const Json& claims, const Json& header = {{"alg", "RS256"}, {"kid", "rsa"}}) {
    const std::string text = Unsigned(header, claims);
    return absl::StrCat(text, ".",
                        Base64(JoseSignature(header["alg"] == "ES256" ? ec_ : rsa_, text)));
  }
  static Json Claims(const Json& changes = Json::object()) {
    Json claims = {{"iss", "https://id.example.com"},
                   {"aud", "likeness"},
                   {"sub", "ann"},
                   {"exp", absl::ToUnixSeconds(kNow) + 60},
                   {"tenant", "acme"},
                   {"roles", {"submit", "gardener"}}};
    claims.merge_patch(changes);  // null removes
    return claims;
  }
  std::string Jwks() const {
    return Json{{"keys", {RsaJwk(rsa_, "rsa"), EcJwk(ec_, "ec")}}}.dump();
  }
  absl::StatusOr<Caller> Verify(const std::string& token, absl::Time now = kNow) {
    return (*JwtVerifier::Create(options_, Jwks()))->Verify(token, now);
  }
  std::string Refusal(const std::string& token, absl::Time now = kNow) {
    const auto status = Verify(token, now).status();
    EXPECT_TRUE(absl::IsUnauthenticated(status)) << status;
    return std::string(status.message());
  }

  static inline const PrivateKey rsa_ = NewRsaKey();
  static inline const PrivateKey ec_ = NewEcKey();
  static inline const PrivateKey stranger_ = NewRsaKey();
  const JwtOptions options_{
      .keys_file = "jwks.json", .issuer = "https://id.example.com", .audience = "likeness"};
};

TEST_F(JwtTest, GoodTokensAreRead) {
  for (const Json& header : {Json{{"alg", "RS256"}, {"kid", "rsa"}}, Json{{"alg", "RS256"}},
                             Json{{"alg", "ES256"}, {"kid", "ec"}}}) {
    const auto caller = Verify(Token(Claims(), header));
    ASSERT_TRUE(caller.ok()) << caller.status() << header;
    EXPECT_EQ(caller->tenant, "acme");
    EXPECT_EQ(caller->roles, Roles{Role::kSubmit}) << "what is not ours is left out";
    EXPECT_EQ(caller->id, "jwt:ann");
  }
  EXPECT_TRUE(Verify(Token(Claims({{"aud", {"other", "likeness"}}}))).ok());
  EXPECT_EQ(Verify(Token(Claims({{"roles", "read admin"}})))->roles,
            (Roles{Role::kRead, Role::kAdmin}));
}

TEST_F(JwtTest, PemServesAsWell) {
  const auto verifier = JwtVerifier::Create(options_, PublicPem(rsa_) + PublicPem(ec_));
  ASSERT_TRUE(verifier.ok()) << verifier.status();
  EXPECT_TRUE((*verifier)->Verify(Token(Claims()), kNow).ok());
  EXPECT_TRUE((*verifier)->Verify(Token(Claims(), {{"alg", "ES256"}}), kNow).ok());
}

TEST_F(JwtTest, ClaimsMustFit) {
  EXPECT_EQ(Refusal(Token(Claims({{"iss", "https://evil.example.com"}}))), "another issuer");
  EXPECT_EQ(Refusal(Token(Claims({{"iss", nullptr}}))), "another issuer");
  EXPECT_EQ(Refusal(Token(Claims({{"aud", "other"}}))), "another audience");
  EXPECT_EQ(Refusal(Token(Claims({{"aud", nullptr}}))), "another audience");
  EXPECT_EQ(Refusal(Token(Claims({{"exp", nullptr}}))), "it never expires");
  EXPECT_EQ(Refusal(Token(Claims({{"exp", "tomorrow"}}))), "it never expires");
  EXPECT_EQ(Refusal(Token(Claims()), kNow + absl::Minutes(2)), "it has expired");
  EXPECT_EQ(Refusal(Token(Claims({{"nbf", absl::ToUnixSeconds(kNow) + 600}}))),
            "it is not good yet");
  EXPECT_EQ(Refusal(Token(Claims({{"tenant", nullptr}}))), "it names no tenant");
  EXPECT_EQ(Refusal(Token(Claims({{"tenant", "../acme"}}))), "it names no tenant");
  EXPECT_EQ(Refusal(Token(Claims({{"tenant", ""}}))), "it names no tenant");
}

TEST_F(JwtTest, TokenNeverMakesAWorker) {
  EXPECT_TRUE(Verify(Token(Claims({{"roles", {"worker"}}})))->roles.empty());
}

TEST_F(JwtTest, TokenDoesNotChooseItsAlgorithm) {
  // The public key as if it were a shared secret: the oldest trick.
  for (const std::string& secret : {PublicPem(rsa_), Jwks()}) {
    const std::string text = Unsigned({{"alg", "HS256"}, {"kid", "rsa"}}, Claims());
    EXPECT_EQ(Refusal(absl::StrCat(text, ".", Base64(Hmac(secret, text)))),
              "no key vouches for it");
  }
  for (const char* none : {"none", "None", "NONE", "nOnE", ""}) {
    const std::string text = Unsigned({{"alg", none}}, Claims());
    Refusal(absl::StrCat(text, "."));
    Refusal(text);
    Refusal(absl::StrCat(text, ".", Base64("x")));
  }
  // A signature of the right key under another name.
  Refusal(Token(Claims(), {{"alg", "RS512"}}));
  Refusal(Token(Claims(), {{"alg", "PS256"}}));
  Refusal(Token(Claims(), {{"alg", "RS256"}, {"kid", "ec"}}));
  Refusal(Token(Claims(), {{"alg", "ES256"}, {"kid", "rsa"}}));
  Refusal(Token(Claims(), {{"alg", "RS256"}, {"crit", {"exp"}}}));
}

TEST_F(JwtTest, ForgedOrCutTokensAreRefused) {
  const std::string text = Unsigned({{"alg", "RS256"}, {"kid", "rsa"}}, Claims());
  EXPECT_EQ(Refusal(absl::StrCat(text, ".", Base64(JoseSignature(stranger_, text)))),
            "no key vouches for it");
  const std::string good = Token(Claims());
  const std::string signature = good.substr(good.rfind('.'));
  Refusal(Unsigned({{"alg", "RS256"}, {"kid", "rsa"}}, Claims({{"tenant", "umbrella"}})) +
          signature);
  // A key that the token itself brings along counts for nothing.
  const std::string own = Unsigned({{"alg", "RS256"}, {"jwk", RsaJwk(stranger_, "x")}}, Claims());
  Refusal(absl::StrCat(own, ".", Base64(JoseSignature(stranger_, own))));
  for (size_t length = 0; length < good.size(); length += 7) Refusal(good.substr(0, length));
  Refusal(good + ".x");
  Refusal(good + ".");
  // Padding and half a byte, on which cjose itself would end the program.
  for (const char* odd : {"A", "A===", "A=", "AA=A", "=", "AAAAA", "A\n", "A+/A"}) {
    Refusal(absl::StrCat(odd, signature, signature));
    Refusal(absl::StrCat("AAAA.", odd, signature));
    Refusal(absl::StrCat("AAAA.AAAA.", odd));
    Refusal(good + odd);
  }
  Refusal("");
  Refusal("..");
}

TEST_F(JwtTest, KeysThatVouchForNobodyAreRefused) {
  const auto refused = [&](const std::string& keys) {
    return !JwtVerifier::Create(options_, keys).ok();
  };
  EXPECT_TRUE(refused(""));
  EXPECT_TRUE(refused("{}"));
  EXPECT_TRUE(refused(R"({"keys": []})"));
  EXPECT_TRUE(refused(R"({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]})")) << "a shared secret";
  EXPECT_TRUE(refused(Json{{"keys", {RsaJwk(NewRsaKey(1024), "short")}}}.dump()));
  EXPECT_TRUE(refused(PublicPem(NewEcKey("P-384"))));
  Json odd = RsaJwk(rsa_, "rsa");
  odd["n"] = "A===";
  EXPECT_TRUE(refused(Json{{"keys", {odd}}}.dump()));
  Json encrypting = RsaJwk(rsa_, "rsa");
  encrypting["use"] = "enc";
  EXPECT_TRUE(refused(Json{{"keys", {encrypting}}}.dump())) << "none is left";
}

TEST_F(JwtTest, KeysChangeWithoutRestart) {
  TempFolder folder;
  FakeClock clock(kNow);
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder.path() + "/" + name) << text;
  };
  write("jwks.json", Json{{"keys", {RsaJwk(stranger_, "rsa")}}}.dump());
  write("auth.json", R"({"jwt": {"keys_file": "jwks.json", "issuer": "https://id.example.com",)"
                     R"( "audience": "likeness"}})");
  const auto authenticator = *Authenticator::Open(folder.path() + "/auth.json", clock);
  authenticator->ReloadIfChanged();
  EXPECT_EQ(ErrorReason(authenticator->Identify({.bearer = Token(Claims())}).status()),
            "TOKEN_INVALID");
  write("jwks.json", Jwks());
  authenticator->ReloadIfChanged();
  EXPECT_TRUE(authenticator->Identify({.bearer = Token(Claims())}).ok());
  write("jwks.json", "broken");
  authenticator->ReloadIfChanged();
  const auto caller = authenticator->Identify({.bearer = Token(Claims())});
  ASSERT_TRUE(caller.ok()) << "the keys before hold";
  EXPECT_TRUE(authenticator->StillHolds(*caller));
  clock.Advance(absl::Minutes(2));
  EXPECT_FALSE(authenticator->StillHolds(*caller));
}

}  // namespace
}  // namespace likeness::server
