// Weights in prompts, as AUTOMATIC1111's stable-diffusion-webui writes them (modules/
// prompt_parser.py, parse_prompt_attention).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace likeness {

// A part of a prompt, and what each of its tokens weighs.
struct WeightedText {
  std::string text;
  double weight = 1;
};

inline constexpr double kLargestPromptWeight = 100;

// "(a)" weighs 1.1, "(a:1.3)" 1.3, "[a]" 1 / 1.1, and what is within others their product; a
// bracket that is never closed holds all that follows it. A backslash before a bracket or another
// backslash makes it text. BREAK is a word like any other. Neighbours of one weight are one part;
// there is at least one. kInvalidArgument for a weight that is no number, or beyond
// +-kLargestPromptWeight.
std::vector<WeightedText> ParsePromptWeights(std::string_view prompt);

}  // namespace likeness
