// "{subject}" and "{class}" in prompts, and "{subject1}", "{class1}", "{subject2}", ... of several
// subjects.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "likeness/v1/fine_tune.pb.h"

namespace likeness {

struct PromptWords {
  std::string token;       // "zwx"; empty for a base model
  std::string class_noun;  // "dog"; empty where an imported model came without one
  // Token and class noun of each subject, in order, where there are several.
  std::vector<std::pair<std::string, std::string>> subjects = {};
};

// "{subject}" is that subject of the spec; the numbers are those of the spec.
PromptWords WordsOf(const v1::FineTuneSpec& spec, int subject = 0);

// The tokens of all subjects, each once; none for a base model.
std::vector<std::string> TokensOf(const PromptWords& words);

// "a {subject} in the snow" -> "a zwx dog in the snow"; "a {class}" -> "a dog"; with several
// subjects "{subject1} beside {subject2}" -> "zwx dog beside abc cat". Other braces stay as they
// are. Without a class noun "{subject}" is the token alone, and "{class}" stays; without a token
// both stay.
std::string FillPrompt(std::string_view prompt, const PromptWords& words);

}  // namespace likeness
