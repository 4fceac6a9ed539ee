// The file of public keys that sign tokens: a JWKS or PEM. Tokens that nobody signed are let in
// under none of them.
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/auth/jwt.h"
#include "tests/fuzz/fuzz.h"

using likeness::fuzz::Check;

namespace {

std::string Unsigned(absl::string_view algorithm, absl::string_view signature) {
  const std::string header = absl::StrCat(R"({"alg":")", algorithm, R"("})");
  constexpr char kClaims[] =
      R"({"iss":"i","aud":"a","sub":"s","exp":1800000060,"tenant":"t","roles":["admin"]})";
  return absl::StrCat(absl::WebSafeBase64Escape(header), ".", absl::WebSafeBase64Escape(kClaims),
                      ".", absl::WebSafeBase64Escape(signature));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  likeness::server::JwtOptions options;
  options.issuer = "i";
  options.audience = "a";
  const auto text = likeness::fuzz::Text(data, size);
  const auto verifier = likeness::server::JwtVerifier::Create(options, text);
  if (!verifier.ok()) return 0;
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  for (const char* algorithm : {"none", "HS256", "RS256", "ES256"}) {
    for (const auto& signature : {std::string(), std::string(64, '\0'), std::string(text)}) {
      Check(!(*verifier)->Verify(Unsigned(algorithm, signature), now).ok(),
            "what nobody signed is not let in");
    }
  }
  return 0;
}
