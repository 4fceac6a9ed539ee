// Pictures to tensors and back. Tensors are RGB in [-1,1].
#pragma once

#include <torch/torch.h>

#include <vector>

#include "worker/base/image.h"

namespace likeness {

// float32 [3,H,W] in [-1,1] on the CPU: value / 127.5 - 1.
torch::Tensor ImageToTensor(const Image& image);

// Pictures of images_BCHW (C = 3, any float dtype and device): clamp(x / 2 + 0.5, 0, 1) * 255 in
// float32, rounded half to even, as diffusers' VaeImageProcessor does.
std::vector<Image> TensorToImages(const torch::Tensor& images_BCHW);

}  // namespace likeness
