// The prompts of a training run as what the network is told: encoded once when the text encoders
// are frozen, in the graph when they are trained.
#pragma once

#include <string>
#include <vector>

#include "worker/families/family.h"

namespace likeness {

class PromptContexts {
 public:
  // `trained`: parameters of text encoders require gradients. The model outlives this.
  PromptContexts(Family& model, std::vector<std::string> prompts, bool trained);

  // For samples with these prompts, by number. Each distinct prompt goes through the encoders once.
  Conditioning For(const std::vector<int64_t>& prompt_of_N) const;

 private:
  Conditioning Encode(const std::vector<int64_t>& numbers) const;

  Family& model_;
  std::vector<std::string> prompts_;
  std::optional<Conditioning> frozen_;  // of all prompts
};

}  // namespace likeness
