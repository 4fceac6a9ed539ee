// The autoencoder of Stable Diffusion: pictures to latents and back.
// Source: Rombach et al. 2112.10752; parameter names and config.json as diffusers' AutoencoderKL.
// Shapes: B batch, C channels, H W of the picture, h w of the latents (H / 2^(levels - 1)).
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/models/vae_decoder.h"
#include "worker/models/vae_encoder.h"

namespace likeness {

struct AutoencoderKlOptions {
  int64_t in_channels = 3;
  int64_t out_channels = 3;
  int64_t latent_channels = 4;
  std::vector<int64_t> block_out_channels = {128, 256, 512, 512};  // one level each, finest first
  int64_t layers_per_block = 2;
  int64_t norm_num_groups = 32;
  double scaling_factor = 0.18215;  // latents times this have unit variance
  int64_t sample_size = 512;        // side in pixels of what it was trained on
  bool force_upcast = true;         // kept for config.json: says whether float16 overflows

  // From and to a diffusers config.json. A setting that this code does not support is an Error
  // (kFailedPrecondition) that names it.
  static AutoencoderKlOptions FromJson(const nlohmann::json& config);
  nlohmann::json ToJson() const;

  // Pixels per latent, along one side.
  int64_t Downscale() const { return int64_t{1} << (block_out_channels.size() - 1); }
};

// The diagonal Gaussian that the encoder gives for each picture, unscaled.
struct LatentMoments {
  torch::Tensor mean_BChw;
  torch::Tensor logvar_BChw;  // clamped to [-30, 20]

  // mean + exp(logvar / 2) * noise_BChw.
  torch::Tensor Sample(const torch::Tensor& noise_BChw) const;
};

class AutoencoderKlImpl : public torch::nn::Module {
 public:
  explicit AutoencoderKlImpl(AutoencoderKlOptions options);

  // images_BCHW in [-1, 1]; H and W multiples of Downscale(). Differentiable. `tiled`: in tiles of
  // sample_size pixels a side, which takes less memory (vae_tiles.h).
  LatentMoments Encode(const torch::Tensor& images_BCHW, bool tiled = false);
  // latents_BChw unscaled (divide by scaling_factor first). Gives about [-1, 1]. Differentiable.
  torch::Tensor Decode(const torch::Tensor& latents_BChw, bool tiled = false);

  torch::ScalarType dtype() const { return quant_conv_->bias.scalar_type(); }

  const AutoencoderKlOptions& options() const { return options_; }

 private:
  AutoencoderKlOptions options_;
  VaeEncoder encoder_;
  VaeDecoder decoder_;
  Conv2d quant_conv_;
  Conv2d post_quant_conv_;
};
TORCH_MODULE(AutoencoderKl);

}  // namespace likeness
