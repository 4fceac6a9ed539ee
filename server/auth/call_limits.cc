#include "server/auth/call_limits.h"

#include "absl/strings/str_cat.h"
#include "common/error_details.h"
#include "common/rpc_error.h"

namespace likeness::server {
namespace {

constexpr RateLimit kFailures = {.per_second = 1, .burst = 100};

absl::Status Exhausted(absl::string_view reason, absl::string_view message, absl::Duration wait) {
  return WithRetryDelay(
      RpcError(absl::StatusCode::kResourceExhausted, reason,
               absl::StrCat(message, "; wait ",
                            absl::FormatDuration(absl::Ceil(wait, absl::Milliseconds(1))))),
      wait);
}

}  // namespace

absl::Status CallLimits::CheckRate(const std::string& tenant, const RateLimit& limit, double cost,
                                   absl::Time now) {
  const absl::Duration wait = tenants_.Take(tenant, limit, cost, now);
  if (wait == absl::ZeroDuration()) return absl::OkStatus();
  return Exhausted("RATE_LIMITED", "the tenant calls too often", wait);
}

absl::Status CallLimits::CheckFailure(const std::string& peer, absl::Time now) {
  const absl::Duration wait = peers_.Take(peer, kFailures, 1, now);
  if (wait == absl::ZeroDuration()) return absl::OkStatus();
  return Exhausted("TOO_MANY_FAILURES", "this address sent too many bad tokens", wait);
}

}  // namespace likeness::server
