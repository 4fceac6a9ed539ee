// The prompts of a training run as what the network is told: encoded once when the text encoders
// are frozen, in the graph when they are trained.
#pragma once

#include <string>
#include <vector>

#include "worker/families/family.h"

namespace likeness {

class PromptContexts {
 public:
  // `sizes`: those of pictures that are learned or predicted, in pixels. `trained`: parameters of
  // text encoders require gradients. The model outlives this.
  PromptContexts(Family& model, std::vector<std::string> prompts,
                 const std::vector<Geometry>& sizes, bool trained);

  // For samples of latents of this shape [N,C,h,w] with these prompts, by number. Each distinct
  // prompt goes through the encoders once.
  Conditioning For(const std::vector<int64_t>& prompt_of_N, torch::IntArrayRef shape_NChw) const;

 private:
  struct Frozen {
    Geometry size;
    Conditioning told;  // of all prompts
  };
  Conditioning Encode(const std::vector<int64_t>& numbers, Geometry size) const;

  Family& model_;
  std::vector<std::string> prompts_;
  std::vector<Frozen> frozen_;  // of each size; none where text encoders are trained
};

}  // namespace likeness
