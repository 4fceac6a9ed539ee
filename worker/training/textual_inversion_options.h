#pragma once

#include <cstdint>
#include <string>

namespace likeness {

struct TextualInversionOptions {
  std::string token;         // the word that is learned
  int64_t vectors = 1;       // rows of each text encoder
  std::string initial_text;  // its tokens' rows are begun with, one after another; the class noun
  bool keep_norm = false;    // rows keep the length that they begin with
};

}  // namespace likeness
