#include "server/jobs/change_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/resource_names.h"

namespace likeness::server {

void ChangeLog::Add(const JobChange& change) {
  const auto name = ParseJobName(change.name);
  if (!name.ok()) return;
  std::lock_guard lock(mutex_);
  entries_.push_back({.position = ++last_,
                      .tenant = name->tenant,
                      .job = change.name,
                      .key = change.key,
                      .after_seq = change.after_seq,
                      .last_seq = change.last_seq,
                      .deleted = change.deleted});
  if (entries_.size() > most_) entries_.pop_front();
}

int64_t ChangeLog::position() const {
  std::lock_guard lock(mutex_);
  return last_;
}

std::optional<std::vector<ChangeLog::Entry>> ChangeLog::After(absl::string_view tenant,
                                                              int64_t* position,
                                                              size_t limit) const {
  std::lock_guard lock(mutex_);
  const int64_t first = last_ - static_cast<int64_t>(entries_.size()) + 1;
  if (*position + 1 < first || *position > last_) return std::nullopt;
  std::vector<Entry> found;
  for (auto i = static_cast<size_t>(*position + 1 - first); i < entries_.size(); ++i) {
    if (found.size() == limit) break;
    *position = entries_[i].position;
    if (entries_[i].tenant == tenant) found.push_back(entries_[i]);
  }
  return found;
}

std::string JobsTopic(absl::string_view tenant) {
  return absl::StrCat("tenants/", tenant, "/jobs");
}

}  // namespace likeness::server
