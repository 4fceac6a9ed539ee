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

std::optional<std::string> NumberedPlaceIn(std::string_view filled) {
  for (const std::string_view begin : {"{subject", "{class"}) {
    for (size_t at = filled.find(begin); at != filled.npos; at = filled.find(begin, at + 1)) {
      const size_t digits = at + begin.size();
      const size_t end = filled.find_first_not_of("0123456789", digits);
      if (end == filled.npos || end == digits || filled[end] != '}') continue;
      return std::string(filled.substr(at, end + 1 - at));
    }
  }
  return std::nullopt;
}

}  // namespace likeness
