#include "server/jobs/sqlite/requirements_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace likeness::server {
namespace {

constexpr char kMethodMark[] = "+";  // no label's key begins so

}  // namespace

std::string RequirementsText(const v1::Requirements& requirements,
                             const std::set<std::string>& methods) {
  if (requirements.labels().empty() && requirements.min_device_memory_bytes() == 0 &&
      methods.empty()) {
    return "";
  }
  std::vector<std::string> lines;
  for (const auto& [key, value] : requirements.labels()) {
    lines.push_back(absl::StrCat(key, "=", value));
  }
  for (const auto& method : methods) lines.push_back(absl::StrCat(kMethodMark, method));
  std::sort(lines.begin(), lines.end());
  lines.insert(lines.begin(), absl::StrCat(requirements.min_device_memory_bytes()));
  return absl::StrJoin(lines, "\n");
}

void ParseRequirements(absl::string_view text, Needs& needs) {
  if (text.empty()) return;
  std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  (void)absl::SimpleAtoi(lines[0], &needs.device_memory_bytes);
  for (size_t i = 1; i < lines.size(); ++i) {
    if (absl::ConsumePrefix(&lines[i], kMethodMark)) {
      needs.methods.emplace_back(lines[i]);
      continue;
    }
    needs.labels.push_back(absl::StrSplit(lines[i], absl::MaxSplits('=', 1)));
  }
}

}  // namespace likeness::server
