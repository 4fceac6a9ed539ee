// Weights in prompts, as AUTOMATIC1111's stable-diffusion-webui writes them (modules/
// prompt_parser.py, parse_prompt_attention). Server and workers check them alike. Needs the
// standard library alone: the engine builds without Abseil.
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

struct PromptWeights {
  std::vector<WeightedText> parts;  // at least one
  // What is wrong: "has the weight \"999\"; numbers from -100 to 100 are allowed". Empty if nothing
  // is; `parts` mean nothing otherwise.
  std::string error;
};

// "(a)" weighs 1.1, "(a:1.3)" 1.3, "[a]" 1 / 1.1, and what is within others their product; a
// bracket that is never closed holds all that follows it. A backslash before a bracket or another
// backslash makes it text. BREAK is a word like any other. Neighbours of one weight are one part.
// An error is a weight that is no number, or beyond +-kLargestPromptWeight.
PromptWeights ParsePromptWeights(std::string_view prompt);

}  // namespace likeness
