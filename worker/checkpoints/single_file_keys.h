// The original layout of Stable Diffusion, one file for all parts
// ("model.diffusion_model.input_blocks.0.0.weight"), as tables between its keys and those of a
// diffusers directory. Source: the keys of the published checkpoints; diffusers' single_file_utils.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "worker/base/io/safetensors.h"
#include "worker/models/unet.h"
#include "worker/models/vae.h"

namespace likeness {

enum class TensorChange {
  kNone,
  kConv1x1,  // a matrix here is a convolution of one place there
  kTransposed,
  kThird,    // three tensors here lie one below the other there
  kLeftOut,  // not part of the model
};

// Where a key of a part begins with `original` in the file it begins with `diffusers` in the part.
struct KeyRow {
  std::string original;
  std::string diffusers;
  TensorChange change = TensorChange::kNone;
  int third = 0;  // which of the three
};

// `prefix` of all of them in the file, its last dot included.
std::vector<KeyRow> UnetKeys(std::string_view prefix, const UNet2DConditionOptions& options);
std::vector<KeyRow> VaeKeys(std::string_view prefix, const AutoencoderKlOptions& options);
// transformers' own keys, of SD 1's text tower and XL's first.
std::vector<KeyRow> ClipKeys(std::string_view prefix);
// OpenCLIP's, of SD 2's text tower, which is read without its last layer and its projection where
// the file has these, and XL's second.
std::vector<KeyRow> OpenClipKeys(std::string_view prefix, bool with_projection);

// All of the file's tensors whose keys begin with `prefix`, by their keys in the part; views of the
// file wherever that is possible. kFailedPrecondition names a key that no row knows.
NamedTensors FromOriginal(const SafetensorsFile& file, std::string_view prefix,
                          const std::vector<KeyRow>& rows, const std::string& component);
// The reverse. kFailedPrecondition names a key that no row knows.
NamedTensors ToOriginal(const NamedTensors& tensors, const std::vector<KeyRow>& rows,
                        const std::string& component);

}  // namespace likeness
