// Faces in pictures, found by CenterFace (Xu et al. 1911.03599) in OpenCV's own runtime.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "worker/base/image.h"
#include "worker/images/crop.h"

namespace likeness {

// In pixels of the picture; may reach over its edge.
struct Face {
  double left = 0, top = 0, width = 0, height = 0;
  double score = 0;  // 0 to 1
};

// What the network says of each cell of a grid, row by row. Cells are four pixels of what it read.
struct FaceMaps {
  int rows = 0, columns = 0;
  std::vector<float> score;          // that a face's middle is there
  std::vector<float> height, width;  // of the face: logarithms, in cells
  std::vector<float> below, right;   // from the cell's middle to the face's, in cells
};

// The faces of at least `least` that do not overlap a likelier one by more than 30 % (intersection
// over union), the likeliest first. In pixels of what the network read. Error
// (kFailedPrecondition) where a value of the network is not finite.
std::vector<Face> FacesOf(const FaceMaps& maps, double least = 0.75);

// The square around a face: twice as wide as the larger of its sides, as SquareAround.
CropBox SquareAroundFace(const Face& face, const Image& image);

// Not thread safe.
class FaceDetector {
 public:
  // `onnx`: the published network, centerface.onnx. Throws Error (kFailedPrecondition) for what
  // OpenCV cannot read or has not the network's outputs.
  explicit FaceDetector(const std::filesystem::path& onnx);
  ~FaceDetector();
  FaceDetector(FaceDetector&&) noexcept;

  // The largest first. Pictures of more than kLargestSide pixels a side are looked at in that size.
  // Errors as FacesOf.
  std::vector<Face> Detect(const Image& image);

  static constexpr int kLargestSide = 1024;

 private:
  struct Network;
  std::unique_ptr<Network> network_;
};

}  // namespace likeness
