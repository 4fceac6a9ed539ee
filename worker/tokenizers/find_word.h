// Where a subject's token stands in a prompt.
#pragma once

#include <cstddef>
#include <string_view>

namespace likeness {

// The first place of `word` in `text` where no letter or digit stands beside it, in upper or lower
// case; npos where there is none, and for an empty word.
size_t FindWord(std::string_view text, std::string_view word);

}  // namespace likeness
