#include "worker/evaluation/plain_prompt.h"

#include <algorithm>
#include <sstream>
#include <string_view>

#include "worker/tokenizers/find_word.h"

namespace likeness {
namespace {

std::string WithoutToken(std::string_view prompt, const std::string& token) {
  constexpr std::string_view kOwns = "'s";
  std::string plain;
  for (size_t at = 0; (at = FindWord(prompt, token)) != std::string_view::npos;) {
    plain += prompt.substr(0, at);
    prompt.remove_prefix(at + token.size());
    if (prompt.starts_with(kOwns)) prompt.remove_prefix(kOwns.size());
  }
  return plain.append(prompt);
}

}  // namespace

std::string WithoutTokens(const std::string& prompt, std::vector<std::string> tokens) {
  // The longest first: one may be a part of another ("sks", "sks-2").
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });
  std::string plain = prompt;
  for (const auto& token : tokens) plain = WithoutToken(plain, token);
  std::istringstream words(plain);
  std::string left, word;
  while (words >> word) left += (left.empty() ? "" : " ") + word;
  return left;
}

bool NamesToken(const std::string& prompt, const std::string& token,
                const std::vector<std::string>& tokens) {
  std::vector<std::string> longer;
  for (const auto& other : tokens) {
    if (other.size() > token.size()) longer.push_back(other);
  }
  return FindWord(WithoutTokens(prompt, longer), token) != std::string_view::npos;
}

}  // namespace likeness
