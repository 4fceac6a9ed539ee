#include "worker/jobs/prompts.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace likeness {

PromptWords WordsOf(const v1::FineTuneSpec& spec, int subject) {
  PromptWords words;
  if (subject >= spec.subjects_size()) return words;
  words.token = spec.subjects(subject).token();
  words.class_noun = spec.subjects(subject).class_noun();
  if (spec.subjects_size() == 1) return words;
  for (const v1::Subject& each : spec.subjects()) {
    words.subjects.emplace_back(each.token(), each.class_noun());
  }
  return words;
}

std::string FillPrompt(std::string_view prompt, const PromptWords& words) {
  if (words.token.empty() || words.class_noun.empty()) return std::string(prompt);
  std::vector<std::pair<std::string, std::string>> places = {
      {"{subject}", absl::StrCat(words.token, " ", words.class_noun)},
      {"{class}", words.class_noun}};
  for (size_t i = 0; i < words.subjects.size(); ++i) {
    const auto& [token, class_noun] = words.subjects[i];
    places.emplace_back(absl::StrCat("{subject", i + 1, "}"), absl::StrCat(token, " ", class_noun));
    places.emplace_back(absl::StrCat("{class", i + 1, "}"), class_noun);
  }
  return absl::StrReplaceAll(absl::string_view(prompt.data(), prompt.size()), places);
}

}  // namespace likeness
