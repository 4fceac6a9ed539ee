#include "common/photo_look.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace likeness {
namespace {

constexpr int kSide = 512;
constexpr int kLeastSide = 128;
constexpr int kWindow = 9;
// Sharp photos reach .35, those with a Gaussian blur of 3 pixels of 512 at least .5, mostly .65.
constexpr double kBlurred = 0.6;
// Mean differences of tiles, in levels: of a photo saved again or cut by a fiftieth 1 to 8; of
// drawings of one subject in one scene at least 24.
constexpr double kTheSame = 8;
constexpr double kSameBackground = 20;
constexpr size_t kFewestBackgrounds = 3;

// The share of a line's differences that is left when it is smoothed. `stride` apart lie the
// `length` values of each of `lines` lines, whose beginnings are `step` apart.
double BlurAlong(const std::vector<float>& grey, int lines, int step, int length, int stride) {
  double sharp = 0, lost = 0;
  std::vector<float> line(length), smooth(length);
  for (int i = 0; i < lines; ++i) {
    for (int j = 0; j < length; ++j) line[j] = grey[static_cast<size_t>(i) * step + j * stride];
    for (int j = 0; j < length; ++j) {
      float sum = 0;
      for (int k = -kWindow / 2; k <= kWindow / 2; ++k)
        sum += line[std::clamp(j + k, 0, length - 1)];
      smooth[j] = sum / kWindow;
    }
    for (int j = 1; j < length; ++j) {
      const double before = std::abs(line[j] - line[j - 1]);
      sharp += before;
      lost += std::max(0.0, before - std::abs(smooth[j] - smooth[j - 1]));
    }
  }
  return sharp > 0 ? (sharp - lost) / sharp : 1;
}

bool OnTheEdge(int tile) {
  const int x = tile % PhotoLook::kTiles, y = tile / PhotoLook::kTiles;
  return x == 0 || y == 0 || x == PhotoLook::kTiles - 1 || y == PhotoLook::kTiles - 1;
}

double Difference(const PhotoLook& a, const PhotoLook& b, bool edge_alone) {
  double sum = 0;
  int count = 0;
  for (int tile = 0; tile < PhotoLook::kTiles * PhotoLook::kTiles; ++tile) {
    if (edge_alone && !OnTheEdge(tile)) continue;
    for (int c = 0; c < 3; ++c, ++count)
      sum += std::abs(a.tiles[3 * tile + c] - b.tiles[3 * tile + c]);
  }
  return sum / count;
}

// Of photos that are alike, the names; each photo once.
std::vector<std::vector<std::string>> Repetitions(const std::vector<NamedLook>& photos) {
  std::vector<std::vector<std::string>> groups;
  std::vector<bool> told(photos.size());
  for (size_t i = 0; i < photos.size(); ++i) {
    if (told[i]) continue;
    std::vector<std::string> group = {photos[i].name};
    for (size_t j = i + 1; j < photos.size(); ++j) {
      if (told[j] || Difference(photos[i].look, photos[j].look, false) >= kTheSame) continue;
      told[j] = true;
      group.push_back(photos[j].name);
    }
    if (group.size() > 1) groups.push_back(std::move(group));
  }
  return groups;
}

bool ShareABackground(std::vector<NamedLook> photos) {
  std::erase_if(photos, [](const NamedLook& photo) { return !photo.background_is_learned; });
  for (size_t i = 0; i < photos.size(); ++i) {
    for (size_t j = i + 1; j < photos.size(); ++j) {
      if (Difference(photos[i].look, photos[j].look, true) >= kSameBackground) return false;
    }
  }
  return photos.size() >= kFewestBackgrounds;
}

}  // namespace

PhotoLooker::PhotoLooker(int width, int height, int channels)
    : width_(width),
      height_(height),
      channels_(channels),
      shrink_(std::max(1, (std::min(width, height) + kSide - 1) / kSide)),
      small_width_((width + shrink_ - 1) / shrink_),
      small_height_((height + shrink_ - 1) / shrink_),
      small_(static_cast<size_t>(small_width_) * small_height_ * 3) {}

void PhotoLooker::AddRow(const uint8_t* row) {
  if (rows_ == height_) return;
  float* sums = &small_[static_cast<size_t>(rows_++ / shrink_) * small_width_ * 3];
  for (int x = 0; x < width_; ++x) {
    float* sum = sums + x / shrink_ * 3;
    for (int c = 0; c < 3; ++c) sum[c] += row[x * channels_ + (channels_ == 3 ? c : 0)];
  }
}

PhotoLook PhotoLooker::Finish() const {
  PhotoLook look;
  std::vector<float> grey(static_cast<size_t>(small_width_) * small_height_);
  std::array<int, PhotoLook::kTiles* PhotoLook::kTiles> pixels = {};
  for (int y = 0; y < small_height_; ++y) {
    for (int x = 0; x < small_width_; ++x) {
      const int inside =
          std::min(shrink_, width_ - x * shrink_) * std::min(shrink_, height_ - y * shrink_);
      const size_t at = static_cast<size_t>(y) * small_width_ + x;
      const int tile = y * PhotoLook::kTiles / small_height_ * PhotoLook::kTiles +
                       x * PhotoLook::kTiles / small_width_;
      ++pixels[tile];
      for (int c = 0; c < 3; ++c) {
        const float level = small_[3 * at + c] / static_cast<float>(inside);
        grey[at] += level / 3;
        look.tiles[3 * tile + c] += level;
      }
    }
  }
  for (size_t i = 0; i < look.tiles.size(); ++i) {
    look.tiles[i] /= static_cast<float>(std::max(1, pixels[i / 3]));
  }
  if (std::min(small_width_, small_height_) < kLeastSide) return look;
  look.blur = std::max(BlurAlong(grey, small_height_, small_width_, small_width_, 1),
                       BlurAlong(grey, small_width_, 1, small_height_, small_width_));
  return look;
}

std::vector<std::string> WarningsOfLooks(const std::vector<NamedLook>& photos) {
  std::vector<std::string> warnings;
  std::vector<std::string> blurred;
  for (const auto& photo : photos) {
    if (photo.look.blur.value_or(0) > kBlurred) blurred.push_back(photo.name);
  }
  if (!blurred.empty()) {
    warnings.push_back(absl::StrCat(absl::StrJoin(blurred, ", "),
                                    blurred.size() == 1 ? " looks" : " look",
                                    " blurred; sharp photos are learned better"));
  }
  const auto repetitions = Repetitions(photos);
  for (const auto& group : repetitions) {
    warnings.push_back(
        absl::StrCat(absl::StrJoin(group, ", "),
                     " are nearly the same photo; views from other sides teach more"));
  }
  if (repetitions.empty() && ShareABackground(photos)) {
    warnings.push_back(
        "the background looks the same in all photos, and will be learned with the subject; photos "
        "in different places are better");
  }
  return warnings;
}

}  // namespace likeness
