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

// No label's key begins so.
constexpr char kMethodMark[] = "+";
constexpr char kRevisionMark[] = "@";
constexpr char kJudgeMark[] = "*";

void ParseJudge(absl::string_view text, Needs& needs) {
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ');
  needs.judged_as = std::string(words.front());
  for (size_t i = 1; i < words.size(); ++i) {
    int measure = 0;
    if (absl::SimpleAtoi(words[i], &measure)) {
      needs.measures.push_back(static_cast<v1::Measure>(measure));
    }
  }
}

}  // namespace

std::string RequirementsText(const Needs& needs) {
  std::vector<std::string> lines;
  for (const auto& [key, value] : needs.labels) lines.push_back(absl::StrCat(key, "=", value));
  for (const auto& method : needs.methods) lines.push_back(absl::StrCat(kMethodMark, method));
  if (needs.spec_revision > 0) lines.push_back(absl::StrCat(kRevisionMark, needs.spec_revision));
  if (!needs.judged_as.empty()) {
    std::vector<int> measures(needs.measures.begin(), needs.measures.end());
    std::sort(measures.begin(), measures.end());
    std::string& line = lines.emplace_back(absl::StrCat(kJudgeMark, needs.judged_as));
    for (const int measure : measures) absl::StrAppend(&line, " ", measure);
  }
  if (lines.empty() && needs.device_memory_bytes == 0) return "";
  std::sort(lines.begin(), lines.end());
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  lines.insert(lines.begin(), absl::StrCat(needs.device_memory_bytes));
  return absl::StrJoin(lines, "\n");
}

void ParseRequirements(absl::string_view text, Needs& needs) {
  if (text.empty()) return;
  std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  (void)absl::SimpleAtoi(lines[0], &needs.device_memory_bytes);
  for (size_t i = 1; i < lines.size(); ++i) {
    if (absl::ConsumePrefix(&lines[i], kMethodMark)) {
      needs.methods.emplace_back(lines[i]);
    } else if (absl::ConsumePrefix(&lines[i], kRevisionMark)) {
      (void)absl::SimpleAtoi(lines[i], &needs.spec_revision);
    } else if (absl::ConsumePrefix(&lines[i], kJudgeMark)) {
      ParseJudge(lines[i], needs);
    } else {
      needs.labels.push_back(absl::StrSplit(lines[i], absl::MaxSplits('=', 1)));
    }
  }
}

}  // namespace likeness::server
