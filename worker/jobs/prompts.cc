#include "worker/jobs/prompts.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace likeness {

std::string FillPrompt(std::string_view prompt, const PromptWords& words) {
  if (words.token.empty() || words.class_noun.empty()) return std::string(prompt);
  return absl::StrReplaceAll(absl::string_view(prompt.data(), prompt.size()),
                             {{"{subject}", absl::StrCat(words.token, " ", words.class_noun)},
                              {"{class}", words.class_noun}});
}

}  // namespace likeness
