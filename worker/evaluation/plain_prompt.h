// The rare words in prompts.
#pragma once

#include <string>
#include <vector>

namespace likeness {

// The prompt without the rare words: "a sks dog beside a zwx cat" -> "a dog beside a cat".
std::string WithoutTokens(const std::string& prompt, std::vector<std::string> tokens);

// The prompt without the subject, "a|an|the", its token and its class noun: "a photo of a sks dog
// in the snow" -> "a photo of in the snow", and without the other rare words. As MaSC (arXiv
// 2605.22469) leaves a subject out, which has no token there: so it is where `token` is empty.
std::string WithoutSubject(const std::string& prompt, const std::string& token,
                           const std::string& class_noun, const std::vector<std::string>& tokens);

// Whether the prompt names that one of the subjects' tokens: "a sks-2 cat" names "sks-2", and not
// "sks" where both are tokens.
bool NamesToken(const std::string& prompt, const std::string& token,
                const std::vector<std::string>& tokens);

}  // namespace likeness
