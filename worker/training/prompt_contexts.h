// The prompts of a training run as the UNet's context: encoded once when the text encoder is
// frozen, in the graph when it is trained. P distinct prompts, B samples, T tokens, D width.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "worker/checkpoints/pipeline.h"

namespace likeness {

class PromptContexts {
 public:
  // `trained`: the text encoder's parameters require gradients.
  PromptContexts(Pipeline& pipeline, const std::vector<std::string>& prompts, bool trained);

  // Context [B,T,D] for samples with these prompts, by number. Each distinct prompt goes through
  // the encoder once.
  torch::Tensor For(const std::vector<int64_t>& prompt_of_B) const;

 private:
  Pipeline& pipeline_;
  torch::Tensor input_ids_PT_;
  torch::Tensor frozen_PTD_;  // undefined when trained
};

}  // namespace likeness
