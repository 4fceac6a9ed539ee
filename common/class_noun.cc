#include "common/class_noun.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace likeness {

std::optional<std::string> ClassNounWarning(absl::string_view class_noun) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(class_noun, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.size() < 2) return std::nullopt;
  const std::string first = absl::AsciiStrToLower(words[0]);
  if (first != "a" && first != "an" && first != "the") return std::nullopt;
  return absl::StrCat("the class noun \"", class_noun, "\" begins with an article, so that \"a ",
                      class_noun, "\" is learned; leave the \"", words[0], "\" out");
}

}  // namespace likeness
