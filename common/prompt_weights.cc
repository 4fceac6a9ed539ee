#include "common/prompt_weights.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "common/number_text.h"

namespace likeness {
namespace {

constexpr double kRound = 1.1, kSquare = 1 / 1.1;
constexpr std::string_view kBlanks = " \t\n\r\f\v";

constexpr size_t kMostShown = 40;  // characters of a weight that is wrong

std::string WrongWeight(std::string_view weight) {
  const std::string shown(weight.substr(0, kMostShown));
  return "has the weight \"" + shown + (weight.size() > kMostShown ? "..." : "") +
         "\"; numbers from " + NumberText(-kLargestPromptWeight) + " to " +
         NumberText(kLargestPromptWeight) + " are allowed";
}

// ":1.3)" at the beginning of `rest`: ": number )", blanks allowed. Takes it off.
std::optional<std::string_view> TakeWeight(std::string_view& rest) {
  std::string_view left = rest;
  const auto skip_blanks = [&] {
    left.remove_prefix(std::min(left.find_first_not_of(kBlanks), left.size()));
  };
  if (!left.starts_with(':')) return std::nullopt;
  left.remove_prefix(1);
  skip_blanks();
  const size_t sign = left.starts_with('+') || left.starts_with('-') ? 1 : 0;
  const size_t digits = left.find_first_not_of(".0123456789", sign);
  if (digits == std::string_view::npos || digits == sign) return std::nullopt;
  const std::string_view number = left.substr(0, digits);
  left.remove_prefix(digits);
  skip_blanks();
  if (!left.starts_with(')')) return std::nullopt;
  rest = left.substr(1);
  return number;
}

// Nothing for what is no number.
std::optional<double> ParseWeight(std::string_view text) {
  const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
  double weight = 0;
  const auto end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, weight, std::chars_format::fixed);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return weight;
}

// The parts of a prompt, and the brackets that are open.
class WeightReader {
 public:
  void Add(std::string_view text) { parts_.push_back({std::string(text), 1}); }
  void OpenRound() { round_.push_back(parts_.size()); }
  void OpenSquare() { square_.push_back(parts_.size()); }
  bool round_open() const { return !round_.empty(); }
  // Whether there was one to close.
  bool CloseRound(double weight) { return Close(round_, weight); }
  bool CloseSquare() { return Close(square_, kSquare); }

  PromptWeights Finish() {
    while (CloseRound(kRound)) continue;
    while (CloseSquare()) continue;
    PromptWeights read;
    std::vector<WeightedText>& merged = read.parts;
    for (WeightedText& part : parts_) {
      if (read.error.empty() && !(std::abs(part.weight) <= kLargestPromptWeight)) {
        read.error = WrongWeight(NumberText(part.weight));
      }
      if (!merged.empty() && merged.back().weight == part.weight) {
        merged.back().text += part.text;
      } else {
        merged.push_back(std::move(part));
      }
    }
    if (merged.empty()) merged.emplace_back();
    return read;
  }

 private:
  bool Close(std::vector<size_t>& open, double weight) {
    if (open.empty()) return false;
    for (size_t i = open.back(); i < parts_.size(); ++i) parts_[i].weight *= weight;
    open.pop_back();
    return true;
  }

  std::vector<WeightedText> parts_;
  std::vector<size_t> round_, square_;  // where they were opened
};

}  // namespace

PromptWeights ParsePromptWeights(std::string_view prompt) {
  WeightReader reader;
  for (std::string_view rest = prompt; !rest.empty();) {
    const char c = rest.front();
    if (c == '\\') {
      const bool escapes =
          rest.size() > 1 && std::string_view("()[]\\").find(rest[1]) != std::string_view::npos;
      reader.Add(rest.substr(1, escapes ? 1 : 0));
      rest.remove_prefix(escapes ? 2 : 1);
      continue;
    }
    std::string_view behind = rest;
    if (const auto weight = TakeWeight(behind)) {
      const std::string_view text = rest.substr(0, rest.size() - behind.size());
      if (reader.round_open()) {
        const auto number = ParseWeight(*weight);
        if (!number) return {.parts = {{}}, .error = WrongWeight(*weight)};
        reader.CloseRound(*number);
      } else {
        reader.Add(text);
      }
      rest = behind;
      continue;
    }
    size_t length = 1;
    if (c == '(') {
      reader.OpenRound();
    } else if (c == '[') {
      reader.OpenSquare();
    } else if (c == ')') {
      if (!reader.CloseRound(kRound)) reader.Add(")");
    } else if (c == ']') {
      if (!reader.CloseSquare()) reader.Add("]");
    } else {
      length = c == ':' ? 1 : std::min(rest.find_first_of("\\()[]:"), rest.size());
      reader.Add(rest.substr(0, length));
    }
    rest.remove_prefix(length);
  }
  return reader.Finish();
}

}  // namespace likeness
