// What networks of the Stable Diffusion XL family are told of a picture beside its text
// (micro-conditioning: Podell et al. 2307.01952, section 2.2).
#pragma once

#include <cstdint>
#include <optional>

namespace likeness {

// In pixels. A picture of the original size is scaled to cover the target, and cut to it: the crop
// is where in the scaled picture that begins.
struct MicroConditioning {
  int64_t original_height = 0, original_width = 0;
  int64_t crop_top = 0, crop_left = 0;
  int64_t target_height = 0, target_width = 0;
  // Of a picture to learn from: crop_left where it is mirrored [the same].
  std::optional<int64_t> mirrored_crop_left = {};
};

}  // namespace likeness
