#include "worker/models/vae.h"

#include <utility>

#include "worker/models/vae_tiles.h"

namespace likeness {
torch::Tensor LatentMoments::Sample(const torch::Tensor& noise_BChw) const {
  return mean_BChw + (0.5 * logvar_BChw).exp() * noise_BChw;
}

AutoencoderKlImpl::AutoencoderKlImpl(AutoencoderKlOptions options)
    : options_(std::move(options)),
      encoder_(options_),
      decoder_(options_),
      quant_conv_(PointwiseConv(2 * options_.latent_channels, 2 * options_.latent_channels)),
      post_quant_conv_(PointwiseConv(options_.latent_channels, options_.latent_channels)) {
  register_module("encoder", encoder_);
  register_module("decoder", decoder_);
  register_module("quant_conv", quant_conv_);
  register_module("post_quant_conv", post_quant_conv_);
}

LatentMoments AutoencoderKlImpl::Encode(const torch::Tensor& images_BCHW, bool tiled) {
  const auto encode = [&](const torch::Tensor& tile) { return quant_conv_(encoder_(tile)); };
  const int64_t side = options_.sample_size, latents = side / options_.Downscale();
  const auto moments =
      tiled ? ThroughTiles(images_BCHW, {.in = side, .out = latents}, encode) : encode(images_BCHW);
  auto halves = moments.chunk(2, /*dim=*/1);
  return {.mean_BChw = halves[0], .logvar_BChw = halves[1].clamp(-30.0, 20.0)};
}

torch::Tensor AutoencoderKlImpl::Decode(const torch::Tensor& latents_BChw, bool tiled) {
  const auto decode = [&](const torch::Tensor& tile) { return decoder_(post_quant_conv_(tile)); };
  const int64_t side = options_.sample_size, latents = side / options_.Downscale();
  return tiled ? ThroughTiles(latents_BChw, {.in = latents, .out = side}, decode)
               : decode(latents_BChw);
}

}  // namespace likeness
