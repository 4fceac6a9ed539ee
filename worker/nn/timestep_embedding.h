// How the UNet learns which timestep it is at.
// Shapes: B batch, F frequencies (half of them sines), E width of the embedding.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "worker/nn/layers.h"

namespace likeness {

// cos(t f_i), then sin(t f_i), with f_i = 10000^(-i / (F / 2)): Vaswani et al. 1706.03762,
// section 3.5, in the order that Stable Diffusion was trained with. float32, BF.
torch::Tensor SinusoidalEmbedding(const torch::Tensor& timesteps_B, int64_t frequencies);

// linear_1, SiLU, linear_2: BF to BE.
class TimestepEmbeddingImpl : public torch::nn::Module {
 public:
  TimestepEmbeddingImpl(int64_t frequencies, int64_t width);

  // Computes in the dtype of its biases.
  torch::Tensor forward(const torch::Tensor& timesteps_B);
  // The same for frequencies, or other features, that are there already: BF to BE.
  torch::Tensor Embed(const torch::Tensor& features_BF);

 private:
  int64_t frequencies_;
  Linear linear_1_, linear_2_;
};
TORCH_MODULE(TimestepEmbedding);

}  // namespace likeness
