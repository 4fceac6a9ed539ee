// Prompts as they are compared with pictures.
#pragma once

#include <string>
#include <vector>

namespace likeness {

// The prompt without the rare words: "a sks dog beside a zwx cat" -> "a dog beside a cat".
std::string WithoutTokens(const std::string& prompt, std::vector<std::string> tokens);

}  // namespace likeness
