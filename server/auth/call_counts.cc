#include "server/auth/call_counts.h"

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"

namespace likeness::server {
namespace {

constexpr int kWorkersShare = 5;  // how many tenants the workers count as

absl::Status TooMany(int most, absl::string_view what) {
  return RpcError(absl::StatusCode::kResourceExhausted, "TOO_MANY_CALLS",
                  absl::StrCat("the tenant has ", most, " ", what,
                               " under way, as many as are allowed; end some of them"),
                  {{"limit", absl::StrCat(most)}});
}

}  // namespace

absl::StatusOr<std::shared_ptr<void>> CallCounts::Enter(const Caller& caller,
                                                        absl::string_view method) {
  const bool transfer = !caller.is_worker() && (method == "Read" || method == "Write");
  const int most = limits_.calls * (caller.is_worker() ? kWorkersShare : 1);
  {
    std::lock_guard lock(mutex_);
    Count& count = tenants_[caller.tenant];
    if (count.calls >= most) return TooMany(most, "calls");
    if (transfer && count.transfers >= limits_.transfers) {
      return TooMany(limits_.transfers, "uploads and downloads");
    }
    ++count.calls;
    count.transfers += transfer ? 1 : 0;
  }
  // An owner of nothing, whose deleter counts down.
  return std::shared_ptr<void>(this, [this, tenant = caller.tenant, transfer](void*) {
    std::lock_guard lock(mutex_);
    const auto found = tenants_.find(tenant);
    found->second.transfers -= transfer ? 1 : 0;
    if (--found->second.calls == 0) tenants_.erase(found);
  });
}

}  // namespace likeness::server
