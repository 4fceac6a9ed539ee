#include "mini/canvas.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace likeness::mini {
namespace {

constexpr float kScale = kDrawingSize / 100.0f;
constexpr int kSubpixelBits = 4;

int Fixed(float value) {
  return static_cast<int>(std::lround(value * kScale * (1 << kSubpixelBits)));
}

std::vector<cv::Point> Fixed(const Points& points) {
  std::vector<cv::Point> fixed;
  for (const auto& point : points) fixed.emplace_back(Fixed(point.x), Fixed(point.y));
  return fixed;
}

int Pixels(float width) { return std::max(1, static_cast<int>(std::lround(width * kScale))); }

// Catmull-Rom: passes through every point, its tangent there parallel to the neighbours' chord.
cv::Point2f Spline(const cv::Point2f& before, const cv::Point2f& from, const cv::Point2f& to,
                   const cv::Point2f& after, float t) {
  auto tangent_from = (to - before) * 0.5f;
  auto tangent_to = (after - from) * 0.5f;
  float t2 = t * t;
  float t3 = t2 * t;
  return from * (2 * t3 - 3 * t2 + 1) + tangent_from * (t3 - 2 * t2 + t) + to * (3 * t2 - 2 * t3) +
         tangent_to * (t3 - t2);
}

constexpr int kSplineSteps = 6;

Points ClosedSpline(const Points& points) {
  Points curve;
  size_t n = points.size();
  for (size_t i = 0; i < n; ++i) {
    for (int step = 0; step < kSplineSteps; ++step) {
      curve.push_back(Spline(points[(i + n - 1) % n], points[i], points[(i + 1) % n],
                             points[(i + 2) % n], step / float{kSplineSteps}));
    }
  }
  return curve;
}

Points OpenSpline(const Points& points) {
  Points curve;
  for (size_t i = 0; i + 1 < points.size(); ++i) {
    const auto& before = points[i == 0 ? 0 : i - 1];
    const auto& after = points[std::min(i + 2, points.size() - 1)];
    for (int step = 0; step < kSplineSteps; ++step) {
      curve.push_back(Spline(before, points[i], points[i + 1], after, step / float{kSplineSteps}));
    }
  }
  curve.push_back(points.back());
  return curve;
}

// Light falls from the upper left: the difference of a blurred mask along that diagonal, -1..1.
class Relief {
 public:
  Relief(const cv::Mat1b& mask, const cv::Rect& area) : area_(area) {
    constexpr int kBlur = 13;
    cv::copyMakeBorder(mask(area), blurred_, kReach, kReach, kReach, kReach, cv::BORDER_CONSTANT);
    cv::blur(blurred_, blurred_, {kBlur, kBlur}, {-1, -1}, cv::BORDER_CONSTANT);
  }
  float At(int x, int y) const {
    x += kReach - area_.x;
    y += kReach - area_.y;
    return (blurred_(y + kReach, x + kReach / 2) - blurred_(y - kReach, x - kReach / 2)) / 255.0f;
  }

 private:
  static constexpr int kReach = 6;
  cv::Rect area_;
  cv::Mat1b blurred_;
};

uint8_t Mix(float under, float over, float alpha) {
  return cv::saturate_cast<uint8_t>(under + (over - under) * alpha);
}

void Blend(cv::Vec4b& pixel, const Rgb& colour, float alpha) {
  for (int c = 0; c < 3; ++c) pixel[c] = Mix(pixel[c], std::clamp(colour[c], 0.f, 255.f), alpha);
  pixel[3] = Mix(pixel[3], 255, alpha);
}

}  // namespace

Shape::Shape() : mask_(kDrawingSize, kDrawingSize, uint8_t{0}) {}

Shape& Shape::Ellipse(float x, float y, float rx, float ry, float turn) {
  cv::ellipse(mask_, {Fixed(x), Fixed(y)}, {Fixed(rx), Fixed(ry)}, turn, 0, 360, 255, cv::FILLED,
              cv::LINE_AA, kSubpixelBits);
  return *this;
}

Shape& Shape::Box(float left, float top, float right, float bottom, float corner) {
  return Polygon({{left, top}, {right, top}, {right, bottom}, {left, bottom}}, corner);
}

Shape& Shape::Polygon(const Points& points, float corner) {
  std::vector<std::vector<cv::Point>> outline{Fixed(points)};
  cv::fillPoly(mask_, outline, 255, cv::LINE_AA, kSubpixelBits);
  if (corner > 0) {
    cv::polylines(mask_, outline, true, 255, Pixels(2 * corner), cv::LINE_AA, kSubpixelBits);
  }
  return *this;
}

Shape& Shape::Blob(const Points& points) { return Polygon(ClosedSpline(points)); }

Shape& Shape::Stroke(const Points& points, float width) {
  std::vector<std::vector<cv::Point>> line{Fixed(OpenSpline(points))};
  cv::polylines(mask_, line, false, 255, Pixels(width), cv::LINE_AA, kSubpixelBits);
  return *this;
}

Shape& Shape::Ring(float x, float y, float rx, float ry, float width) {
  cv::ellipse(mask_, {Fixed(x), Fixed(y)}, {Fixed(rx), Fixed(ry)}, 0, 0, 360, 255, Pixels(width),
              cv::LINE_AA, kSubpixelBits);
  return *this;
}

Fill Fill::Flat() const {
  Fill fill = *this;
  fill.flat = true;
  return fill;
}

Canvas::Canvas() : rgba_(kDrawingSize, kDrawingSize, cv::Vec4b(0, 0, 0, 0)) {}

void Canvas::Paint(const Shape& shape, const Fill& fill) {
  constexpr int kMargin = 3;
  const cv::Rect sheet(0, 0, kDrawingSize, kDrawingSize);
  cv::Rect area = cv::boundingRect(shape.mask());
  if (area.empty()) return;
  area = (area + cv::Size(2 * kMargin, 2 * kMargin) - cv::Point(kMargin, kMargin)) & sheet;

  cv::Mat1b rim;
  if (!fill.flat) {
    static const cv::Mat pen = cv::getStructuringElement(cv::MORPH_ELLIPSE, {5, 5});
    cv::dilate(shape.mask()(area), rim, pen);
  }
  const Relief relief(shape.mask(), area);
  for (int y = area.y; y < area.br().y; ++y) {
    for (int x = area.x; x < area.br().x; ++x) {
      Rgb colour = fill.colour;
      if (!fill.texture.empty()) {
        const auto& texel = fill.texture(y, x);
        colour = {float(texel[0]), float(texel[1]), float(texel[2])};
      }
      auto& pixel = rgba_(y, x);
      float inside = shape.mask()(y, x) / 255.0f;
      if (fill.flat) {
        if (inside > 0) Blend(pixel, colour, inside);
        continue;
      }
      float edge = rim(y - area.y, x - area.x) / 255.0f;
      if (edge == 0) continue;
      if (inside < 1) {
        constexpr float kInk = 0.38f;
        Blend(pixel, {colour[0] * kInk, colour[1] * kInk, colour[2] * kInk}, edge);
      }
      float light = relief.At(x, y);
      for (float& c : colour) c = c * (1 + 0.28f * light) + 22 * light;
      Blend(pixel, colour, inside);
    }
  }
}

}  // namespace likeness::mini
