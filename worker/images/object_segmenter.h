// The object that stands out in a picture, found by U2-Net (Qin et al. 2005.09007) or IS-Net (Qin
// et al. 2203.03041) in OpenCV's own runtime.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "worker/base/image.h"
#include "worker/images/crop.h"

namespace likeness {

// How a network reads pictures.
struct SegmenterOptions {
  int side = 0;                // pixels, of the square that it reads
  bool by_brightest = false;   // divided by the largest value of the picture instead of by 255
  std::array<float, 3> mean;   // subtracted then
  std::array<float, 3> scale;  // divided by at last

  // Of "u2net" (u2net_test.py of github.com/xuebinqin/U-2-Net; U2-Net-p reads alike) and "isnet"
  // (Inference.py of github.com/xuebinqin/DIS).
  static SegmenterOptions Of(const std::string& model_type);
};

// A grey picture of the same size: white where the object is. None where nothing stands out: where
// no probability reaches one half. Of one channel, rows of `columns`, 0 to 1 each; Error
// (kFailedPrecondition) where one is not finite.
std::optional<Image> MaskOf(const float* probabilities, int rows, int columns, const Image& image);

// The square around what is lighter than half grey in the mask, with a tenth of its longer side
// besides, as SquareAround.
CropBox SquareAroundObject(const Image& mask);

// Not thread safe.
class ObjectSegmenter {
 public:
  // `onnx`: a network as published, in float32. Throws Error (kFailedPrecondition) for what OpenCV
  // cannot read.
  ObjectSegmenter(const SegmenterOptions& options, const std::filesystem::path& onnx);
  ~ObjectSegmenter();
  ObjectSegmenter(ObjectSegmenter&&) noexcept;

  // As MaskOf. Throws Error (kFailedPrecondition) where the network is another one.
  std::optional<Image> Segment(const Image& image);

 private:
  struct Network;
  SegmenterOptions options_;
  std::unique_ptr<Network> network_;
};

}  // namespace likeness
