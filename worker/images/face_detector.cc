#include "worker/images/face_detector.h"

#include <algorithm>
#include <cmath>
#include <opencv2/dnn.hpp>
#include <string>

#include "worker/base/error.h"
#include "worker/images/mat.h"
#include "worker/images/onnx_file.h"
#include "worker/images/run_network.h"

namespace likeness {
namespace {

constexpr double kCell = 4;           // pixels a side
constexpr int kMultiple = 32;         // what the sides that the network reads are a multiple of
constexpr double kMostOverlap = 0.3;  // of intersection over union
constexpr double kCropSides = 2;      // the crop's side in sides of the face
// As the published file names them: score, height and width, offsets.
const std::vector<std::string> kOutputs = {"537", "538", "539"};

double Overlap(const Face& a, const Face& b) {
  const auto along = [](double from_a, double size_a, double from_b, double size_b) {
    return std::max(0.0, std::min(from_a + size_a, from_b + size_b) - std::max(from_a, from_b));
  };
  const double both =
      along(a.left, a.width, b.left, b.width) * along(a.top, a.height, b.top, b.height);
  return both / (a.width * a.height + b.width * b.height - both);
}

std::vector<float> Plane(const cv::Mat& blob, int channel) {
  const float* begin = blob.ptr<float>(0, channel);
  return {begin, begin + static_cast<ptrdiff_t>(blob.size[2]) * blob.size[3]};
}

void RequireFinite(const FaceMaps& maps) {
  const auto finite = [](const std::vector<float>& values) {
    return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
  };
  if (finite(maps.score) && finite(maps.height) && finite(maps.width) && finite(maps.below) &&
      finite(maps.right)) {
    return;
  }
  throw Error(ErrorKind::kFailedPrecondition,
              "the face detector gives values that are not finite: its weights are damaged");
}

constexpr char kNoDetector[] =
    "the face detector is not a network that can be run; CenterFace as ONNX is";

}  // namespace

std::vector<Face> FacesOf(const FaceMaps& maps, double least) {
  RequireFinite(maps);
  std::vector<Face> seen;
  for (int row = 0; row < maps.rows; ++row) {
    for (int column = 0; column < maps.columns; ++column) {
      const size_t i = static_cast<size_t>(row) * maps.columns + column;
      if (maps.score[i] < least) continue;
      Face face{.width = kCell * std::exp(double{maps.width[i]}),
                .height = kCell * std::exp(double{maps.height[i]}),
                .score = maps.score[i]};
      face.left = kCell * (column + maps.right[i] + 0.5) - face.width / 2;
      face.top = kCell * (row + maps.below[i] + 0.5) - face.height / 2;
      const bool finite = std::isfinite(face.left + face.top + face.width + face.height);
      if (finite && face.width > 0 && face.height > 0) seen.push_back(face);
    }
  }
  std::stable_sort(seen.begin(), seen.end(),
                   [](const Face& a, const Face& b) { return a.score > b.score; });
  std::vector<Face> faces;
  for (const Face& face : seen) {
    const bool again = std::any_of(faces.begin(), faces.end(), [&](const Face& other) {
      return Overlap(face, other) > kMostOverlap;
    });
    if (!again) faces.push_back(face);
  }
  return faces;
}

CropBox SquareAroundFace(const Face& face, const Image& image) {
  return SquareAround(face.left + face.width / 2, face.top + face.height / 2,
                      kCropSides * std::max(face.width, face.height), image);
}

// OpenCV 4.6 reuses memory of a network's layers wrongly once it has read a picture of another
// size: for each size the network is made anew.
struct FaceDetector::Network {
  std::vector<uint8_t> onnx;
  cv::Size size;
  cv::dnn::Net net;

  cv::dnn::Net& For(cv::Size read) {
    if (read != size) net = cv::dnn::readNetFromONNX(onnx);
    size = read;
    return net;
  }
};

FaceDetector::FaceDetector(const std::filesystem::path& onnx)
    : network_(std::make_unique<Network>()) {
  network_->onnx = ReadOnnx(onnx);
  // That it is the one, known before it is needed.
  Detect(Image{.width = kMultiple,
               .height = kMultiple,
               .rgb = std::vector<uint8_t>(static_cast<size_t>(kMultiple) * kMultiple * 3)});
}

FaceDetector::~FaceDetector() = default;
FaceDetector::FaceDetector(FaceDetector&&) noexcept = default;

std::vector<Face> FaceDetector::Detect(const Image& image) {
  const double shrink =
      std::min(1.0, static_cast<double>(kLargestSide) / std::max(image.width, image.height));
  const auto side = [&](int pixels) {
    return kMultiple * std::max(1, static_cast<int>(std::ceil(pixels * shrink / kMultiple)));
  };
  const cv::Size read(side(image.width), side(image.height));
  FaceMaps maps = RunNetwork(kNoDetector, [&] {
    cv::dnn::Net& net = network_->For(read);
    net.setInput(cv::dnn::blobFromImage(ConstView(image), /*scalefactor=*/1.0, read));
    std::vector<cv::Mat> out;
    net.forward(out, kOutputs);
    for (size_t i = 0; i < out.size(); ++i) {
      const int channels = i == 0 ? 1 : 2;
      CV_Assert(out[i].dims == 4 && out[i].type() == CV_32F && out[i].size[1] == channels &&
                out[i].size[2] == out[0].size[2] && out[i].size[3] == out[0].size[3]);
    }
    return FaceMaps{.rows = out[0].size[2],
                    .columns = out[0].size[3],
                    .score = Plane(out[0], 0),
                    .height = Plane(out[1], 0),
                    .width = Plane(out[1], 1),
                    .below = Plane(out[2], 0),
                    .right = Plane(out[2], 1)};
  });
  std::vector<Face> faces = FacesOf(maps);
  const double across = static_cast<double>(image.width) / read.width;
  const double down = static_cast<double>(image.height) / read.height;
  for (Face& face : faces) {
    face.left *= across, face.width *= across;
    face.top *= down, face.height *= down;
  }
  std::stable_sort(faces.begin(), faces.end(), [](const Face& a, const Face& b) {
    return a.width * a.height > b.width * b.height;
  });
  return faces;
}

}  // namespace likeness
