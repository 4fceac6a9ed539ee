#include "mini/texture.h"

#include <cmath>
#include <opencv2/imgproc.hpp>

#include "mini/canvas.h"

namespace likeness::mini {
namespace {

cv::Vec3b Pixel(const Rgb& colour) {
  return {cv::saturate_cast<uint8_t>(colour[0]), cv::saturate_cast<uint8_t>(colour[1]),
          cv::saturate_cast<uint8_t>(colour[2])};
}

void Stripe(const Identity& identity, cv::Mat3b& sheet) {
  constexpr float kWidth = .42f;  // of a period: the primary colour stays the larger
  const auto colour = Pixel(identity.secondary_rgb);
  const float across = std::cos(identity.pattern_angle) / identity.pattern_period;
  const float down = std::sin(identity.pattern_angle) / identity.pattern_period;
  for (int y = 0; y < sheet.rows; ++y) {
    for (int x = 0; x < sheet.cols; ++x) {
      float u = x * across + y * down + identity.pattern_phase;
      if (u - std::floor(u) < kWidth) sheet(y, x) = colour;
    }
  }
}

void Spot(const Identity& identity, cv::Mat3b& sheet) {
  Random random(identity.seed, 3);
  const float step = identity.pattern_period * 1.15f;
  const cv::Scalar colour(Pixel(identity.secondary_rgb));
  bool odd = false;
  for (float y = -step * identity.pattern_phase; y < sheet.rows + step; y += step * .87f) {
    for (float x = odd ? step / 2 : 0; x < sheet.cols + step; x += step) {
      cv::Point centre(static_cast<int>(x + random.Uniform(-2, 2)),
                       static_cast<int>(y + random.Uniform(-2, 2)));
      cv::circle(sheet, centre, static_cast<int>(step * .29f), colour, cv::FILLED, cv::LINE_AA);
    }
    odd = !odd;
  }
}

void Halve(const Identity& identity, cv::Mat3b& sheet) {
  const bool upright = identity.pattern_angle < 1.5f;
  const int cut = static_cast<int>(sheet.cols * (upright ? .40f : .70f));
  auto half = upright ? sheet.colRange(0, cut) : sheet.rowRange(cut, sheet.rows);
  half.setTo(cv::Scalar(Pixel(identity.secondary_rgb)));
}

}  // namespace

cv::Mat3b BodyTexture(const Identity& identity) {
  cv::Mat3b sheet(kDrawingSize, kDrawingSize, Pixel(identity.primary_rgb));
  switch (identity.pattern) {
    case Pattern::kPlain:
      break;
    case Pattern::kStriped:
      Stripe(identity, sheet);
      break;
    case Pattern::kSpotted:
      Spot(identity, sheet);
      break;
    case Pattern::kPatched:
      Halve(identity, sheet);
      break;
  }
  return sheet;
}

}  // namespace likeness::mini
