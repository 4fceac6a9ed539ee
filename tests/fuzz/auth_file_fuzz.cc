// The file of API keys and limits. What is accepted restricts whom it names.
#include "common/resource_names.h"
#include "server/auth/auth_file.h"
#include "tests/fuzz/fuzz.h"

using likeness::fuzz::Check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto config = likeness::server::ParseAuthFile(likeness::fuzz::Text(data, size));
  if (!config.ok()) return 0;
  for (const auto& [id, key] : config->keys) {
    Check(id == key.id && !id.empty(), "a key is found by its id");
    Check(key.sha256.size() == 64, "a key has a digest");
    Check(key.tenant.empty() || likeness::IsResourceId(key.tenant), "a key's tenant has a name");
  }
  for (const auto& [tenant, limits] : config->tenants) {
    Check(tenant == "*" || likeness::IsResourceId(tenant), "limits are a tenant's");
    Check(limits.stored_bytes >= 0, "a tenant has no less than nothing");
    Check(limits.jobs.max_pending_jobs >= 0 && limits.jobs.max_running_jobs >= 0,
          "a tenant has no less than no jobs");
    Check(limits.jobs.worker_time_per_day >= absl::ZeroDuration(), "nor less than no time");
    Check(!limits.calls || limits.calls->burst >= 1, "a call can be made");
  }
  return 0;
}
