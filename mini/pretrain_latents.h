// The pictures as the autoencoder sees them, computed once for the stage `unet`.
#pragma once

#include <torch/torch.h>

#include <filesystem>

#include "mini/pretrain.h"
#include "worker/models/vae.h"

namespace likeness::mini {

// Moments of pictures 0 .. N - 1, unscaled, float16 [N,4,16,16].
struct LatentSet {
  torch::Tensor mean;
  torch::Tensor logvar;
};

// Moments of `count` pictures from `first` on.
LatentMoments EncodePictures(AutoencoderKl& vae, uint64_t first, int64_t count);

// Reads <directory>/latents.safetensors, or makes it.
LatentSet LoadOrEncodeLatents(const PretrainOptions& options, AutoencoderKl& vae);

}  // namespace likeness::mini
