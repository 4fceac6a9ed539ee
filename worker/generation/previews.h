// Pictures shown while they are drawn.
#pragma once

#include <functional>

namespace at {
class Tensor;
}

namespace likeness {

struct GenerationPreviews {
  int every_steps = 0;  // 0: none
  // Called after so many steps of each batch, but for the last one: the clean latents of its
  // pictures, [B, C, h, w], as the model expects them by now (latent_preview.h).
  std::function<void(int step, const at::Tensor& clean_BChw)> show = {};
};

}  // namespace likeness
