#include "worker/nn/timestep_embedding.h"

#include <cmath>

#include "worker/nn/activation.h"

namespace likeness {

torch::Tensor SinusoidalEmbedding(const torch::Tensor& timesteps_B, int64_t frequencies) {
  const int64_t half = frequencies / 2;
  auto exponents = torch::arange(half, timesteps_B.options().dtype(torch::kFloat32)) *
                   (-std::log(10000.0) / half);
  auto angles = timesteps_B.to(torch::kFloat32).unsqueeze(1) * exponents.exp().unsqueeze(0);
  return torch::cat({angles.cos(), angles.sin()}, /*dim=*/1);
}

TimestepEmbeddingImpl::TimestepEmbeddingImpl(int64_t frequencies, int64_t width)
    : frequencies_(frequencies), linear_1_(frequencies, width), linear_2_(width, width) {
  register_module("linear_1", linear_1_);
  register_module("linear_2", linear_2_);
}

torch::Tensor TimestepEmbeddingImpl::forward(const torch::Tensor& timesteps_B) {
  return Embed(SinusoidalEmbedding(timesteps_B, frequencies_));
}

torch::Tensor TimestepEmbeddingImpl::Embed(const torch::Tensor& features_BF) {
  return linear_2_(Silu(linear_1_(features_BF.to(linear_1_->bias.dtype()))));
}

}  // namespace likeness
