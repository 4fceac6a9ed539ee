// Drawing of subjects: shapes joined into silhouettes, filled with a shade of light and a dark
// outline.
//
// Coordinates are 0..100 across and down the picture, which is drawn at 128 x 128 pixels, twice its
// final size.
#pragma once

#include <opencv2/core.hpp>
#include <vector>

#include "mini/world.h"

namespace likeness::mini {

inline constexpr int kDrawingSize = 2 * kImageSize;

using Points = std::vector<cv::Point2f>;

// A mask that grows by union. Parts of one Shape share one outline.
class Shape {
 public:
  Shape();
  Shape& Ellipse(float x, float y, float rx, float ry, float turn = 0);
  Shape& Box(float left, float top, float right, float bottom, float corner = 0);
  Shape& Polygon(const Points& points, float corner = 0);
  // The closed Catmull-Rom spline through the points.
  Shape& Blob(const Points& points);
  // An open Catmull-Rom spline, round at its ends.
  Shape& Stroke(const Points& points, float width);
  Shape& Ring(float x, float y, float rx, float ry, float width);

  const cv::Mat1b& mask() const { return mask_; }

 private:
  cv::Mat1b mask_;
};

// What a shape is filled with: one colour, or a texture of the canvas's size.
struct Fill {
  Fill(const Rgb& colour) : colour(colour) {}           // NOLINT: a colour is a fill
  Fill(const cv::Mat3b& texture) : texture(texture) {}  // NOLINT: so is a texture
  Fill Flat() const;                                    // without light, shade and outline

  Rgb colour = {};
  cv::Mat3b texture;
  bool flat = false;
};

// A transparent sheet that shapes are painted on, one over the other.
class Canvas {
 public:
  Canvas();
  void Paint(const Shape& shape, const Fill& fill);

  // Colours are premultiplied by the fourth channel, alpha.
  const cv::Mat4b& rgba() const { return rgba_; }

 private:
  cv::Mat4b rgba_;
};

}  // namespace likeness::mini
