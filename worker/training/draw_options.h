// What chance does beside noise and timesteps in a training step.
#pragma once

namespace likeness {

struct DrawOptions {
  // As diffusers' train_text_to_image: noise_offset, input_perturbation.
  double noise_offset = 0;
  double input_perturbation = 0;
  bool horizontal_flips = false;
  double caption_dropout = 0;  // share of photos whose prompt is left out
};

}  // namespace likeness
