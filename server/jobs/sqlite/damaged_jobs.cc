#include "server/jobs/sqlite/damaged_jobs.h"

#include "common/logging.h"
#include "common/resource_names.h"
#include "server/jobs/sqlite/record_table.h"

namespace likeness::server {
namespace {

// From indexes alone, which lie on other pages than the records.
constexpr char kName[] =
    "SELECT tenant, id FROM jobs INDEXED BY sqlite_autoindex_jobs_1 WHERE key = ?";
constexpr char kKeysOf[] = "SELECT key FROM jobs INDEXED BY jobs_by_creation WHERE tenant = ?";

std::string NameOf(Database& database, int64_t key) {
  Query query = database.Prepare(kName);
  const auto found = query.Bind(key).Step();
  if (!found.ok() || !*found) return "";
  return JobName{query.String(0), query.String(1)}.ToString();
}

}  // namespace

bool DamagedJobs::Has(int64_t key) const {
  std::lock_guard lock(mutex_);
  return keys_.count(key) > 0;
}

std::vector<int64_t> DamagedJobs::All() const {
  std::lock_guard lock(mutex_);
  return {keys_.begin(), keys_.end()};
}

void DamagedJobs::RemoveFrom(std::vector<int64_t>& keys) const {
  std::erase_if(keys, [this](int64_t key) { return Has(key); });
}

void DamagedJobs::NoteIfDamaged(Database& database, int64_t key, const absl::Status& status) {
  if (!absl::IsDataLoss(status)) return;
  {
    std::lock_guard lock(mutex_);
    if (!keys_.insert(key).second) return;
  }
  LogError("job damaged", {{"job", NameOf(database, key)}});
}

bool DamagedJobs::Search(Database& database, const std::string& tenant) {
  {
    std::lock_guard lock(mutex_);
    if (!searched_.insert(tenant).second) return false;
  }
  std::vector<int64_t> keys;
  {
    Query query = database.Prepare(kKeysOf);
    query.Bind(tenant);
    for (auto found = query.Step(); found.ok() && *found; found = query.Step()) {
      keys.push_back(query.Integer(0));
    }
  }
  for (const int64_t key : keys) {
    NoteIfDamaged(database, key, LoadRecord(database, key).status());
  }
  return true;
}

}  // namespace likeness::server
