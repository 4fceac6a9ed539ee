// What callers say they are. The first byte tells what the rest is: the value of `authorization` as
// it came; the claims of a JSON web token that the right key signed; or what is done to a good one.
#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/rpc_error.h"
#include "server/api/credentials.h"
#include "server/auth/authenticator.h"
#include "server/auth/jwt.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/certificates.h"

namespace likeness::server {
namespace {

using fuzz::Check;

constexpr char kClaims[] =
    R"({"iss": "i", "aud": "likeness", "sub": "ann", "exp": 1800000060, "tenant": "acme",)"
    R"( "roles": ["submit"]})";

// Knows one API key, whose secret nobody has, and the issuer of the tokens.
struct Door {
  Door() {
    const std::string keys = folder.path() + "/key.pem";
    const std::string file = folder.path() + "/auth.json";
    std::ofstream(keys) << testing::PublicPem(key);
    std::ofstream(file) << R"({"keys": [{"id": "abcdefgh", "sha256": ")" << std::string(64, 'a')
                        << R"(", "tenant": "acme", "roles": ["admin"]}], "jwt": {"keys_file": ")"
                        << keys << R"(", "issuer": "i", "audience": "likeness"}})";
    auto opened = Authenticator::Open(file, clock);
    Check(opened.ok(), opened.status().message());
    authenticator = *std::move(opened);
    good = Signed(kClaims);
    Check(authenticator->Identify({.bearer = good}).ok(), "a good token is let in");
  }

  std::string Signed(absl::string_view claims) const {
    const std::string text = absl::StrCat(absl::WebSafeBase64Escape(R"({"alg":"ES256"})"), ".",
                                          absl::WebSafeBase64Escape(claims));
    return absl::StrCat(text, ".", absl::WebSafeBase64Escape(testing::JoseSignature(key, text)));
  }

  fuzz::Scratch folder;
  FakeClock clock;
  const testing::PrivateKey key = testing::NewEcKey();
  std::unique_ptr<Authenticator> authenticator;
  std::string good;
};

// Writes `edits` over a text: pairs of a place and what stands there from then on.
std::string Edited(std::string text, fuzz::Input& edits) {
  while (!edits.empty()) {
    const size_t place = edits.Byte() * 256u + edits.Byte();
    text[place % text.size()] = static_cast<char>(edits.Byte());
  }
  return text;
}

// The same bytes under other letters: the last digit of base64 has bits to spare.
bool SameToken(absl::string_view a, absl::string_view b) {
  const auto signature = [](absl::string_view token) {
    std::string bytes;
    (void)absl::WebSafeBase64Unescape(token.substr(token.rfind('.') + 1), &bytes);
    return bytes;
  };
  return a.substr(0, a.rfind('.')) == b.substr(0, b.rfind('.')) && signature(a) == signature(b);
}

void Knock(const Door& door, fuzz::Input& input) {
  const int kind = input.Byte() % 3;
  std::string bearer;
  if (kind == 0) {
    const auto found = BearerOf(input.Rest());
    if (!found.ok()) return;
    bearer = *found;
  } else {
    bearer = kind == 1 ? door.Signed(input.Rest()) : Edited(door.good, input);
  }
  const auto caller = door.authenticator->Identify({.bearer = bearer});
  if (!caller.ok()) {
    Check(ErrorReason(caller.status()) == "TOKEN_INVALID", "who is not let in is told no more");
    return;
  }
  Check(kind == 1 || SameToken(bearer, door.good), "nobody is let in without a good token");
  Check(IsResourceId(caller->tenant), "a caller has a tenant");
  Check(!caller->is_worker(), "no token of an issuer makes a worker");
  Check(caller->expire_time > door.clock.Now(), "a token that was let in is not over");
}

}  // namespace
}  // namespace likeness::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto& door = *new likeness::server::Door();
  likeness::fuzz::Input input(data, size);
  likeness::server::Knock(door, input);
  return 0;
}
