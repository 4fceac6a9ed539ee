// URLs of webhooks. One that is accepted is HTTP, names nobody's password, and no address inside.
#include <netdb.h>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "server/jobs/webhook_calls.h"
#include "server/webhooks/webhook_check.h"
#include "tests/fuzz/fuzz.h"

namespace likeness::server {
namespace {

using fuzz::Check;

// The host of an http URL, as plainly as it can be read.
std::string HostOf(absl::string_view url) {
  url.remove_prefix(url.find("://") + 3);
  while (absl::ConsumePrefix(&url, "/")) {
  }
  url = url.substr(0, url.find_first_of("/?#"));
  Check(!absl::StrContains(url, '@'), "a URL has no user");
  if (absl::ConsumePrefix(&url, "[")) return std::string(url.substr(0, url.find(']')));
  return std::string(url.substr(0, url.rfind(':')));
}

// Whether the host, if the system's resolver takes it for an address, is one that may be called.
bool IsPublic(const std::string& host) {
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return true;  // a name
  const bool permitted = AddressRules().Permits(*found->ai_addr);
  freeaddrinfo(found);
  return permitted;
}

}  // namespace
}  // namespace likeness::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using likeness::fuzz::Check;
  namespace server = likeness::server;
  static const auto& secrets = *new server::WebhookSecrets(
      *server::WebhookSecrets::Parse("* whsec_" + std::string(32, 'A')));
  const std::string url(likeness::fuzz::Text(data, size));
  (void)server::ParseNetworks(url);
  (void)server::WebhookSecrets::Parse(url);
  likeness::v1::Webhook webhook;
  webhook.set_url(url);
  if (!server::CheckWebhook("acme", webhook, secrets, server::AddressRules()).ok()) return 0;
  Check(absl::StartsWithIgnoreCase(url, "http"), "a webhook is called by HTTP");
  Check(url.size() <= 2000, "a URL is short");
  Check(server::IsPublic(server::HostOf(url)), "no address inside is named");
  Check(!server::ReceiverOf(url).empty(), "a call has a receiver");
  return 0;
}
