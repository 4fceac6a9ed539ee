#include "worker/evaluation/plain_prompt.h"

#include <algorithm>
#include <sstream>
#include <string_view>

#include "worker/tokenizers/find_word.h"

namespace likeness {
namespace {

constexpr std::string_view kOwns = "'s";

std::vector<std::string> LongerThan(const std::string& token,
                                    const std::vector<std::string>& tokens) {
  std::vector<std::string> longer;
  for (const auto& other : tokens) {
    if (other.size() > token.size()) longer.push_back(other);
  }
  return longer;
}

std::string_view WithoutSpacesBefore(std::string_view text) {
  const size_t first = text.find_first_not_of(' ');
  return text.substr(first == std::string_view::npos ? text.size() : first);
}

std::string_view WithoutSpacesBehind(std::string_view text) {
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

// Without a word that the text begins with, whose owner it may be.
std::string_view WithoutFirst(std::string_view text, const std::string& word) {
  const auto rest = WithoutSpacesBefore(text);
  if (FindWord(rest, word) != 0) return text;
  const auto behind = rest.substr(word.size());
  return behind.starts_with(kOwns) ? behind.substr(kOwns.size()) : behind;
}

std::string_view WithoutArticleAtEnd(std::string_view text) {
  const auto rest = WithoutSpacesBehind(text);
  for (const std::string_view article : {"a", "an", "the"}) {
    if (rest.size() < article.size()) continue;
    const size_t at = rest.size() - article.size();
    const auto last = rest.substr(at == 0 ? 0 : at - 1);
    if (FindWord(last, article) == last.size() - article.size()) return rest.substr(0, at);
  }
  return text;
}

std::string Joined(const std::string& text) {
  std::istringstream words(text);
  std::string left, word;
  while (words >> word) left += (left.empty() ? "" : " ") + word;
  return left;
}

std::string WithoutToken(std::string_view prompt, const std::string& token) {
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
  return Joined(plain);
}

std::string WithoutSubject(const std::string& prompt, const std::string& token,
                           const std::string& class_noun, const std::vector<std::string>& tokens) {
  const std::string noun = Joined(class_noun), name = token.empty() ? noun : Joined(token);
  if (name.empty()) return WithoutTokens(prompt, tokens);
  const std::string seen = WithoutTokens(prompt, LongerThan(token, tokens));
  std::string left;
  std::string_view rest = seen;
  for (size_t at = 0; (at = FindWord(rest, name)) != std::string_view::npos;) {
    left += WithoutArticleAtEnd(rest.substr(0, at));
    left += ' ';
    rest = WithoutFirst(rest.substr(at), name);
    if (!token.empty()) rest = WithoutFirst(rest, noun);
  }
  return WithoutTokens(left.append(rest), tokens);
}

bool NamesToken(const std::string& prompt, const std::string& token,
                const std::vector<std::string>& tokens) {
  return FindWord(WithoutTokens(prompt, LongerThan(token, tokens)), token) !=
         std::string_view::npos;
}

}  // namespace likeness
