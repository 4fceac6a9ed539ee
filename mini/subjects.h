// The subjects themselves, in their own upright frame, looking to the right.
#pragma once

#include "mini/canvas.h"
#include "mini/world.h"

namespace likeness::mini {

// Where things are worn.
struct Anchors {
  cv::Point2f crown;  // a hat's brim sits here
  float crown_width;
  cv::Point2f neck = {};  // middle of a scarf
  float neck_width = 0;   // 0: no neck
  float neck_turn = 0;    // degrees, clockwise
};

struct DrawnSubject {
  Canvas canvas;
  Anchors anchors;
};

DrawnSubject DrawSubject(const Identity& identity);
void PutOn(Accessory accessory, DrawnSubject& subject);

}  // namespace likeness::mini
