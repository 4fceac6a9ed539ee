// What pretraining sees of the picture world: pictures as tensors, and random numbers.
//
// Picture i is PretrainingDepiction(i). Training takes 0 .. pictures - 1; validation takes
// kValidationPictures from kFirstValidationPicture on, so the two never share an identity.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <vector>

#include "mini/world.h"
#include "worker/base/image.h"

namespace likeness::mini {

inline constexpr uint64_t kFirstValidationPicture = uint64_t{1} << 40;
inline constexpr int64_t kValidationPictures = 256;

// uint8 [count,3,64,64], pictures first .. first + count - 1.
torch::Tensor DrawPictures(uint64_t first, int64_t count);

// float32 in [-1, 1].
torch::Tensor PixelsToUnit(const torch::Tensor& pictures_uint8);
// And back: uint8, rounded.
torch::Tensor UnitToPixels(const torch::Tensor& pictures);

// A seed for the picture world's own random numbers, drawn from torch's.
uint64_t DrawSeed(at::Generator& generator);

// `count` indices below `bound`, int64.
torch::Tensor DrawIndices(int64_t bound, int64_t count, at::Generator& generator);

// Pictures in rows of `columns`, written as PNG. Errors: kInternal if the file cannot be written.
void WriteSheet(const std::filesystem::path& png, const std::vector<Image>& images, int columns);

}  // namespace likeness::mini
