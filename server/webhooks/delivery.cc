#include "server/webhooks/delivery.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/util/json_util.h"
#include "server/webhooks/secrets.h"

namespace likeness::server {

const char* OutcomeOf(const HttpAnswer& answer) {
  if (answer.address_refused) return "refused";
  if (answer.status == 0) return "unreachable";
  return answer.status / 100 == 2 ? "delivered" : "rejected";
}

HttpPost PostOf(const v1::WebhookCall& call, const std::vector<std::string>& keys,
                absl::Time time) {
  HttpPost post;
  post.url = call.job().webhook().url();
  (void)google::protobuf::util::MessageToJsonString(call, &post.body);  // only Any can fail
  const auto sign = [&](std::string* out, const std::string& key) {
    out->append(WebhookSignature(key, call.id(), time, post.body));
  };
  post.headers = {"Content-Type: application/json", absl::StrCat("webhook-id: ", call.id()),
                  absl::StrCat("webhook-timestamp: ", absl::ToUnixSeconds(time)),
                  absl::StrCat("webhook-signature: ", absl::StrJoin(keys, " ", sign))};
  if (!call.job().traceparent().empty()) {
    post.headers.push_back(absl::StrCat("traceparent: ", call.job().traceparent()));
  }
  return post;
}

std::optional<absl::Time> NextAttempt(int attempts, absl::Time create_time, absl::Time now,
                                      double chance, const WebhookRetryPolicy& policy) {
  absl::Duration delay = policy.first_delay;
  for (int i = 1; i < attempts && delay < policy.max_delay; ++i) delay *= 2;
  delay = std::min(delay, policy.max_delay) * (0.5 + 0.5 * chance);
  if (now + delay > create_time + policy.give_up_after) return std::nullopt;
  return now + delay;
}

}  // namespace likeness::server
