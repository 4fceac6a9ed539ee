#include "worker/mini/subjects.h"

#include <cmath>

#include "worker/mini/creatures.h"
#include "worker/mini/palette.h"
#include "worker/mini/things.h"

namespace likeness::mini {
namespace {

constexpr Rgb kHatRed{222, 32, 40};
constexpr Rgb kRainbow[] = {{232, 50, 52}, {252, 214, 60}, {70, 180, 88}, {62, 120, 226}};

void PutOnHat(DrawnSubject& subject) {
  const auto [x, y] = subject.anchors.crown;
  const float half = subject.anchors.crown_width / 2;
  Canvas& canvas = subject.canvas;
  canvas.Paint(Shape().Blob({{x - half * .72f, y},
                             {x - half * .66f, y - 11},
                             {x - half * .2f, y - 16},
                             {x + half * .3f, y - 15},
                             {x + half * .68f, y - 10},
                             {x + half * .72f, y}}),
               kHatRed);
  canvas.Paint(Shape().Box(x - half * .72f, y - 5.5f, x + half * .72f, y - 1), Fill(kChalk).Flat());
  canvas.Paint(Shape().Box(x - half * 1.05f, y, x + half * 1.05f, y + 2, 1.5f), kHatRed);
}

// A band around the neck and one end that hangs down, each in four colours side by side.
void PutOnScarf(DrawnSubject& subject) {
  const Anchors& anchors = subject.anchors;
  const float turn = anchors.neck_turn * 3.14159265f / 180;
  const cv::Point2f along(std::cos(turn), std::sin(turn));
  const cv::Point2f down(-along.y, along.x);
  const cv::Point2f start = anchors.neck - along * (anchors.neck_width / 2);
  const int colours = static_cast<int>(std::size(kRainbow));
  auto patch = [&](cv::Point2f corner, cv::Point2f u, cv::Point2f v, const Rgb& colour) {
    subject.canvas.Paint(Shape().Polygon({corner, corner + u, corner + u + v, corner + v}, .6f),
                         colour);
  };
  const float step = anchors.neck_width / colours;
  const cv::Point2f end = start + along * (anchors.neck_width * .12f) + down * 3;
  for (int i = colours - 1; i >= 0; --i) {
    patch(end + cv::Point2f(0, 4.5f * i), {7.5f, 0}, {0, 4.5f}, kRainbow[i]);
  }
  for (int i = 0; i < colours; ++i) {
    patch(start + along * (step * i) - down * 4, along * step, down * 8, kRainbow[i]);
  }
}

}  // namespace

DrawnSubject DrawSubject(const Identity& identity) {
  switch (identity.subject_class) {
    case SubjectClass::kDog:
      return DrawDog(identity);
    case SubjectClass::kCat:
      return DrawCat(identity);
    case SubjectClass::kDuck:
      return DrawDuck(identity);
    case SubjectClass::kRobot:
      return DrawRobot(identity);
    case SubjectClass::kCar:
      return DrawCar(identity);
    case SubjectClass::kBoat:
      return DrawBoat(identity);
    case SubjectClass::kTeapot:
      return DrawTeapot(identity);
    case SubjectClass::kBackpack:
      return DrawBackpack(identity);
  }
  return {};
}

void PutOn(Accessory accessory, DrawnSubject& subject) {
  if (accessory == Accessory::kRedHat) PutOnHat(subject);
  if (accessory == Accessory::kRainbowScarf && subject.anchors.neck_width > 0) PutOnScarf(subject);
}

}  // namespace likeness::mini
