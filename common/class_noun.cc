#include "common/class_noun.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace likeness {
namespace {

// The article before other words; empty where there is none.
absl::string_view ArticleOf(absl::string_view class_noun) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(class_noun, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.size() < 2) return "";
  for (const char* article : {"a", "an", "the"}) {
    if (absl::EqualsIgnoreCase(words[0], article)) return words[0];
  }
  return "";
}

bool HasWord(absl::string_view class_noun, absl::string_view word) {
  const std::vector<absl::string_view> words = absl::StrSplit(class_noun, absl::ByAnyChar(" \t-"));
  return !word.empty() && std::any_of(words.begin(), words.end(), [&](absl::string_view other) {
    return absl::EqualsIgnoreCase(other, word);
  });
}

}  // namespace

std::vector<std::string> ClassNounWarnings(const v1::FineTuneSpec& spec) {
  std::vector<std::string> warnings;
  for (const v1::Subject& subject : spec.subjects()) {
    const std::string& noun = subject.class_noun();
    const absl::string_view article = ArticleOf(noun);
    if (!article.empty()) {
      warnings.push_back(absl::StrCat("the class noun \"", noun,
                                      "\" begins with an article, so that \"a ", noun,
                                      "\" is learned; leave the \"", article, "\" out"));
    }
    for (const v1::Subject& other : spec.subjects()) {
      if (!HasWord(noun, other.token())) continue;
      warnings.push_back(absl::StrCat(
          "the class noun \"", noun, "\" contains the token \"", other.token(),
          "\", so that prompts for the class name the subject too; use a class noun without it, or "
          "another token"));
    }
  }
  return warnings;
}

}  // namespace likeness
