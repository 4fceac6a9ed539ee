// "{subject}" and "{class}" in prompts.
#pragma once

#include <string>
#include <string_view>

namespace likeness {

struct PromptWords {
  std::string token;       // "zwx"; empty for a base model
  std::string class_noun;  // "dog"
};

// "a {subject} in the snow" -> "a zwx dog in the snow"; "a {class}" -> "a dog". Other braces stay
// as they are. Without a token and a class noun the prompt stays as it is.
std::string FillPrompt(std::string_view prompt, const PromptWords& words);

}  // namespace likeness
