// Prompts and photos that are allowed but probably not meant.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/nearest.h"
#include "common/placeholders.h"
#include "common/shorten.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {
namespace {

constexpr size_t kQuotedPromptBytes = 80;
constexpr size_t kMostPlaceholders = 8;  // that are warned of, of all prompts

std::vector<absl::string_view> PromptsOf(const v1::Job& job) {
  std::vector<absl::string_view> prompts;
  const auto add = [&](const auto& list) {
    prompts.insert(prompts.end(), list.begin(), list.end());
  };
  add(job.generate().prompts());
  add(job.evaluate().prompts());
  add(job.fine_tune().samples().prompts());
  add(job.fine_tune().previews().prompts());
  return prompts;
}

std::string Quoted(absl::string_view text) {
  return absl::StrCat("\"", Shorten(text, kQuotedPromptBytes), "\"");
}

// What stands between braces and is not replaced, each once. (Single words are refused.)
std::vector<std::string> UnknownPlaceholders(const std::vector<absl::string_view>& prompts) {
  std::vector<std::string> unknown;
  for (const absl::string_view prompt : prompts) {
    for (size_t open = prompt.find('{'); open != prompt.npos; open = prompt.find('{', open + 1)) {
      const size_t close = prompt.find_first_of("{}", open + 1);
      if (close == prompt.npos || prompt[close] == '{') continue;
      const std::string name(prompt.substr(open + 1, close - open - 1));
      if (name.empty() || IsPlaceholder(name)) continue;
      if (std::find(unknown.begin(), unknown.end(), name) != unknown.end()) continue;
      if (unknown.size() < kMostPlaceholders) unknown.push_back(name);
    }
  }
  return unknown;
}

void WarnOfPrompts(const v1::Job& job, std::vector<std::string>& warnings) {
  const auto prompts = PromptsOf(job);
  for (const std::string& name : UnknownPlaceholders(prompts)) {
    const std::string meant = Nearest(Shorten(name, kQuotedPromptBytes), {"subject", "class"});
    warnings.push_back(
        absl::StrCat(Quoted(absl::StrCat("{", name, "}")), " in a prompt is read as written; ",
                     meant.empty() ? "" : absl::StrCat("did you mean {", meant, "}? "),
                     "{subject} and {class} are replaced"));
  }
  const bool empty = std::any_of(prompts.begin(), prompts.end(), [](absl::string_view prompt) {
    return absl::StripAsciiWhitespace(prompt).empty();
  });
  if (empty) warnings.push_back("a prompt is empty: nothing says what its images are to show");
  if (job.generate().prompt_adapters()) return;
  for (const absl::string_view prompt : prompts) {
    const size_t begin = prompt.find("<lora:");
    if (begin == prompt.npos) continue;
    const size_t end = std::min(prompt.find('>', begin), prompt.size() - 1);
    warnings.push_back(absl::StrCat(
        Quoted(prompt.substr(begin, end + 1 - begin)),
        " in a prompt is read as words: adapters in prompts are used only by generate jobs with "
        "prompt_adapters"));
    return;
  }
}

// "photos[2]", or "subjects[1].photos[2]" of a further subject.
std::string PhotoPath(int subject, absl::string_view list, int photo) {
  return absl::StrCat(subject == 0 ? "" : absl::StrCat("subjects[", subject, "]."), list, "[",
                      photo, "]");
}

// Photos are blobs by now, which are named by their content.
void WarnOfTrainedValidation(const v1::FineTuneSpec& spec, std::vector<std::string>& warnings) {
  std::map<absl::string_view, std::string> trained;  // paths by blob
  for (int i = 0; i < spec.subjects_size(); ++i) {
    const auto& photos = spec.subjects(i).photos();
    for (int k = 0; k < photos.size(); ++k) {
      trained.try_emplace(photos[k].blob(), PhotoPath(i, "photos", k));
    }
  }
  for (int i = 0; i < spec.subjects_size(); ++i) {
    const auto& photos = spec.subjects(i).validation_photos();
    for (int k = 0; k < photos.size(); ++k) {
      const auto same = trained.find(photos[k].blob());
      if (same == trained.end()) continue;
      warnings.push_back(
          absl::StrCat(PhotoPath(i, "validation_photos", k), " is the same file as ", same->second,
                       ", which is trained on: its validation loss does not show overfitting"));
    }
  }
}

}  // namespace

std::vector<std::string> WarningsFor(const v1::Job& job) {
  std::vector<std::string> warnings;
  if (job.has_fine_tune()) {
    warnings = WarningsFor(job.fine_tune());
    WarnOfTrainedValidation(job.fine_tune(), warnings);
  }
  WarnOfPrompts(job, warnings);
  return warnings;
}

}  // namespace likeness::server
