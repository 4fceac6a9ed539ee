// Pictures as networks that judge them read them: what preprocessor_config.json says, as
// transformers' ViTImageProcessor, BitImageProcessor and CLIPImageProcessor do it with Pillow:
// resized with antialias to whole levels of 8 bits, cropped in the middle, scaled, normalized. The
// width comes first, then the height; the other way round where the height loses more than twice as
// many pixels, as in Pillow 13 (ImagingResampleInner).
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/base/image.h"

namespace likeness {

struct ImagePreprocessorOptions {
  // Of what is left after the crop, or after the resize where none is made.
  int64_t height = 224, width = 224;
  int64_t shortest_edge = 0;  // resized to, keeping proportions; 0: to resize_height, resize_width
  int64_t resize_height = 0, resize_width = 0;
  bool resize = true;
  bool crop = false;
  bool bicubic = true;  // else bilinear
  std::vector<double> mean = {0.5, 0.5, 0.5};
  std::vector<double> deviation = {0.5, 0.5, 0.5};

  // A setting that this code does not know, or a value that it does not support, is an Error
  // (kFailedPrecondition) that names it. `clip`: a plain number for `size` is the shortest edge,
  // as in CLIP's processor, not both edges.
  static ImagePreprocessorOptions FromJson(const nlohmann::json& config, bool clip);
};

class ImagePreprocessor {
 public:
  explicit ImagePreprocessor(ImagePreprocessorOptions options);

  // float32 [1,3,height,width] on the CPU.
  torch::Tensor operator()(const Image& image) const;

  const ImagePreprocessorOptions& options() const { return options_; }

 private:
  ImagePreprocessorOptions options_;
};

}  // namespace likeness
