// Stages `vae` and `decoder`: the autoencoder, trained on crops of the pictures.
#pragma once

#include <torch/torch.h>

#include <filesystem>

#include "mini/pretrain.h"
#include "worker/models/vae.h"

namespace likeness::mini {

// 64 x 64 pixels to 16 x 16 latents of 4 channels; 0.8 million parameters.
AutoencoderKlOptions MiniVaeOptions();

// What the autoencoder minimises: |e| + e^2 + |grad e| / 2, each a mean over pixels, e the error of
// the reconstruction, and the latents' divergence from a unit Gaussian, a mean over latent
// dimensions, times 0.002. A scalar.
torch::Tensor VaeLoss(const torch::Tensor& images_BCHW, const torch::Tensor& reconstruction_BCHW,
                      const LatentMoments& moments);

// Trains from <directory>/vae.checkpoint.safetensors on, and writes <directory>/vae.safetensors.
void PretrainVae(const PretrainOptions& options);

// Trains the decoder alone, at half the cost of both, from
// <directory>/decoder.checkpoint.safetensors on; then replaces <directory>/vae.safetensors. Latents
// stay what they were.
void PretrainDecoder(const PretrainOptions& options);

// The autoencoder that PretrainVae or PretrainDecoder wrote. Error (kFailedPrecondition) if it has
// not.
AutoencoderKl LoadPretrainedVae(const std::filesystem::path& directory);

}  // namespace likeness::mini
