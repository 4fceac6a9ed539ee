// The file of secrets that sign calls to webhooks. No error repeats a secret.
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "server/webhooks/secrets.h"
#include "tests/fuzz/fuzz.h"

using likeness::fuzz::Check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto text = likeness::fuzz::Text(data, size);
  const auto secrets = likeness::server::WebhookSecrets::Parse(text);
  for (const absl::string_view word : absl::StrSplit(text, absl::ByAnyChar(" \t\r\n"))) {
    if (secrets.ok()) {
      for (const std::string& key : secrets->KeysOf(std::string(word))) {
        Check(key.size() >= 24 && key.size() <= 64, "a key is neither short nor long");
      }
    } else if (word.size() > 12) {
      Check(!absl::StrContains(secrets.status().message(), word), "an error tells no secret");
    }
  }
  return 0;
}
