// The prompts of a training run as what the network is told: encoded once when the text encoders
// are frozen, in the graph when they are trained.
#pragma once

#include <cstddef>
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

  // The same bits where the encoders give the same in every call of this: of the same distinct
  // prompts, in the same order, what they gave before.
  Conditioning ForResting(const std::vector<int64_t>& prompt_of_N, torch::IntArrayRef shape_NChw);

 private:
  struct Told {
    std::vector<int64_t> prompts;
    Geometry size;
    Conditioning conditioning;  // one sample a prompt
  };
  static constexpr size_t kMostResting = 16;  // whose contexts are kept

  Geometry SizeOf(torch::IntArrayRef shape_NChw) const;
  Conditioning Encode(const std::vector<int64_t>& prompts, Geometry size) const;

  Family& model_;
  std::vector<std::string> prompts_;
  std::vector<Told> frozen_;   // all prompts, of each size; none where text encoders are trained
  std::vector<Told> resting_;  // of ForResting
};

}  // namespace likeness
