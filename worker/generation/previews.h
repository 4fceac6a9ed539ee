// Pictures shown while they are drawn.
#pragma once

#include <cstddef>
#include <functional>

namespace at {
class Tensor;
}

namespace likeness {

struct GenerationPreviews {
  int every_steps = 0;  // 0: none
  // Called after so many steps of each batch, but for the last one: the clean latents of its
  // pictures, [B, C, h, w], as the model expects them by now (latent_preview.h). `first`: the
  // index of the first of them among the request's pictures.
  std::function<void(int step, size_t first, const at::Tensor& clean_BChw)> show = {};
};

}  // namespace likeness
