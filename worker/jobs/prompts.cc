#include "worker/jobs/prompts.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/subject_phrase.h"

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

std::vector<std::string> TokensOf(const PromptWords& words) {
  std::vector<std::string> tokens;
  for (const auto& [token, class_noun] : words.subjects) tokens.push_back(token);
  if (tokens.empty() && !words.token.empty()) tokens.push_back(words.token);
  return tokens;
}

std::string FillPrompt(std::string_view prompt, const PromptWords& words) {
  std::vector<std::pair<std::string, std::string>> places;
  const auto add = [&places](const std::string& number, const std::string& token,
                             const std::string& class_noun) {
    if (token.empty()) return;
    places.emplace_back(absl::StrCat("{subject", number, "}"), SubjectPhrase(token, class_noun));
    if (!class_noun.empty()) places.emplace_back(absl::StrCat("{class", number, "}"), class_noun);
  };
  add("", words.token, words.class_noun);
  for (size_t i = 0; i < words.subjects.size(); ++i) {
    add(absl::StrCat(i + 1), words.subjects[i].first, words.subjects[i].second);
  }
  return absl::StrReplaceAll(absl::string_view(prompt.data(), prompt.size()), places);
}

}  // namespace likeness
