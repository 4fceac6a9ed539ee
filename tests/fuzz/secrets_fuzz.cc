// The file of secrets that sign calls to webhooks. No error repeats a secret.
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "server/webhooks/secrets.h"
#include "tests/fuzz/fuzz.h"

using likeness::fuzz::Check;
using likeness::server::WebhookSecrets;

// Whether it is part of what the errors say of any file.
static bool IsSaidAnyway(absl::string_view word) {
  for (const auto* other : {"-", "- -"}) {
    if (absl::StrContains(WebhookSecrets::Parse(other).status().message(), word)) return true;
  }
  return false;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto text = likeness::fuzz::Text(data, size);
  const auto secrets = WebhookSecrets::Parse(text);
  for (const absl::string_view word : absl::StrSplit(text, absl::ByAnyChar(" \t\r\n"))) {
    if (secrets.ok()) {
      for (const std::string& key : secrets->KeysOf(std::string(word))) {
        Check(key.size() >= 24 && key.size() <= 64, "a key is neither short nor long");
      }
    } else if (word.size() > 12 && !IsSaidAnyway(word)) {
      Check(!absl::StrContains(secrets.status().message(), word), "an error tells no secret");
    }
  }
  return 0;
}
