#include "server/webhooks/webhook_check.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>

#include <algorithm>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/rpc_error.h"

namespace likeness::server {
namespace {

constexpr size_t kMaxUrlBytes = 2000;

std::string Part(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK) return "";
  std::string copy = text;
  curl_free(text);
  return copy;
}

// Whether the host is an IP address that may not be called. Names are looked at when they are
// resolved for a call.
bool IsRefusedAddress(std::string host, const AddressRules& rules) {
  sockaddr_in v4 = {};
  sockaddr_in6 v6 = {};
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    return !rules.Permits(reinterpret_cast<const sockaddr&>(v4));
  }
  if (host.size() < 2 || host.front() != '[') return false;
  host = host.substr(1, host.size() - 2);
  v6.sin6_family = AF_INET6;
  return inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) != 1 ||
         !rules.Permits(reinterpret_cast<const sockaddr&>(v6));
}

// What is wrong with it, in the eyes of the library that calls it; empty when nothing is.
std::string Complaint(const std::string& text, const AddressRules& addresses) {
  if (text.empty()) return "is missing";
  if (text.size() > kMaxUrlBytes) {
    return absl::StrCat("has ", text.size(), " bytes; at most ", kMaxUrlBytes, " are allowed");
  }
  if (!std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; })) {
    return "holds spaces, control characters or letters beyond ASCII; write them as %XX";
  }
  const std::unique_ptr<CURLU, void (*)(CURLU*)> url(curl_url(), &curl_url_cleanup);
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) {
    return "is not an absolute URL";
  }
  const std::string scheme = Part(url.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") return "is neither http:// nor https://";
  // curl would guess what is meant with one slash, or three.
  absl::string_view rest = absl::string_view(text).substr(scheme.size());
  if (!absl::ConsumePrefix(&rest, "://") || absl::StartsWith(rest, "/")) {
    return "is no absolute URL: two slashes and a host follow the scheme";
  }
  if (absl::StrContains(rest.substr(0, rest.find_first_of("/?#")), '@')) {
    return "holds a user name or a password; calls are signed instead";
  }
  if (IsRefusedAddress(Part(url.get(), CURLUPART_HOST), addresses)) {
    return "names an address that this server may not call";
  }
  return "";
}

}  // namespace

absl::Status CheckWebhook(const std::string& tenant, const v1::Webhook& webhook,
                          const WebhookSecrets& secrets, const AddressRules& addresses) {
  if (secrets.KeysOf(tenant).empty()) {
    return RpcError(absl::StatusCode::kFailedPrecondition, "WEBHOOKS_DISABLED",
                    "this server has no secret to sign calls with (--webhook-secrets), so a job "
                    "can have no webhook");
  }
  const std::string complaint = Complaint(webhook.url(), addresses);
  if (!complaint.empty()) return InvalidField("job.webhook.url", complaint, "INVALID_WEBHOOK");
  for (const int event : webhook.events()) {
    if (event != v1::WEBHOOK_EVENT_UNSPECIFIED && v1::WebhookEvent_IsValid(event)) continue;
    return InvalidField("job.webhook.events",
                        absl::StrCat("holds ", event,
                                     "; WEBHOOK_EVENT_STATE_CHANGE and WEBHOOK_EVENT_PROGRESS are "
                                     "allowed"),
                        "INVALID_WEBHOOK");
  }
  return absl::OkStatus();
}

}  // namespace likeness::server
