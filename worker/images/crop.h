// Cutting and resizing pictures.
#pragma once

#include <optional>

#include "worker/base/image.h"
#include "worker/base/micro_conditioning.h"

namespace likeness {

inline constexpr int kMinCropSide = 32;

// A rectangle in pixels of the upright picture.
struct CropBox {
  int left = 0;
  int top = 0;
  int width = 0;
  int height = 0;
};

// The square of that side around a place of the picture: as far as the picture reaches, and at
// least kMinCropSide pixels. The picture has at least that many a side.
CropBox SquareAround(double middle_x, double middle_y, double side, const Image& image);

// Throws Error (kInvalidArgument) when the box reaches outside the picture or has a side below
// kMinCropSide.
Image Crop(const Image& image, const CropBox& box);

// The largest square around the middle.
Image CropCentreSquare(const Image& image);

// Area averaging where the picture shrinks, cubic where it grows. Sizes must be positive.
Image Resize(const Image& image, int width, int height);

// The largest part around the middle that is as much wider than high, scaled to this size: the
// picture scaled to cover it, and cut.
Image Cover(const Image& image, int width, int height);

// How a picture of that size becomes one of this: cut to the box (all of it if none), scaled to
// cover it and cut around the middle, in numbers as diffusers' training scripts compute them.
MicroConditioning CutAndScaled(int from_width, int from_height, const std::optional<CropBox>& box,
                               int width, int height);

// What a model learns from: the box (the whole picture if none), its largest centred square, `size`
// x `size` pixels.
Image SquarePhoto(const Image& image, const std::optional<CropBox>& box, int size);

}  // namespace likeness
