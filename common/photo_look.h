// What photos look like, as far as it matters for learning from them: blurred, the same again, the
// same background in all.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace likeness {

struct PhotoLook {
  static constexpr int kTiles = 16;  // a side

  // 0 (sharp) to 1: the larger of both directions of the perceptual blur metric of Crete et al.
  // (2007, "The blur effect", window 9), of the photo shrunk to a shorter side of 256 to 512
  // pixels. Nothing of one with fewer than 128.
  std::optional<double> blur;
  std::array<float, kTiles* kTiles* 3> tiles = {};  // mean R G B, 0 to 255, row by row
};

// Looks at a photo row by row, in memory for one of 512 pixels however large it is.
class PhotoLooker {
 public:
  // channels: 1 (grey) or 3 (R G B).
  PhotoLooker(int width, int height, int channels);
  void AddRow(const uint8_t* row);
  // After all rows.
  PhotoLook Finish() const;

 private:
  int width_, height_, channels_;
  int shrink_;  // pixels a side that become one
  int small_width_, small_height_;
  int rows_ = 0;
  std::vector<float> small_;  // sums of R G B
};

struct NamedLook {
  std::string name;  // "photos[2]"
  PhotoLook look;
  bool background_is_learned = true;  // not that of a masked photo
};

// What a person should know of photos that a subject is learned from.
std::vector<std::string> WarningsOfLooks(const std::vector<NamedLook>& photos);

}  // namespace likeness
