#include "common/class_noun.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace likeness {
namespace {

bool BeginsWithArticle(absl::string_view class_noun) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(class_noun, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  return words.size() > 1 &&
         (absl::EqualsIgnoreCase(words[0], "a") || absl::EqualsIgnoreCase(words[0], "an") ||
          absl::EqualsIgnoreCase(words[0], "the"));
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
    if (BeginsWithArticle(noun)) {
      const std::string article(noun, noun.find_first_not_of(" \t"));
      warnings.push_back(absl::StrCat("the class noun \"", noun,
                                      "\" begins with an article, so that \"a ", noun,
                                      "\" is learned; leave the \"",
                                      article.substr(0, article.find_first_of(" \t")), "\" out"));
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
