#include "server/jobs/sqlite/requirements_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace likeness::server {

std::string RequirementsText(const v1::Job& job) {
  const v1::Requirements& requirements = job.requirements();
  if (requirements.labels().empty() && requirements.min_device_memory_bytes() == 0) return "";
  std::vector<std::string> lines;
  for (const auto& [key, value] : requirements.labels()) {
    lines.push_back(absl::StrCat(key, "=", value));
  }
  std::sort(lines.begin(), lines.end());
  lines.insert(lines.begin(), absl::StrCat(requirements.min_device_memory_bytes()));
  return absl::StrJoin(lines, "\n");
}

void ParseRequirements(absl::string_view text, Needs& needs) {
  if (text.empty()) return;
  const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  (void)absl::SimpleAtoi(lines[0], &needs.device_memory_bytes);
  for (size_t i = 1; i < lines.size(); ++i) {
    needs.labels.push_back(absl::StrSplit(lines[i], absl::MaxSplits('=', 1)));
  }
}

}  // namespace likeness::server
