#include "mini/subjects.h"

#include <algorithm>
#include <cmath>

#include "mini/creatures.h"
#include "mini/palette.h"
#include "mini/things.h"

namespace likeness::mini {
namespace {

constexpr Rgb kHatRed{222, 32, 40};
constexpr Rgb kHatBlack{36, 36, 44};
constexpr Rgb kHatBand{196, 52, 148};
constexpr Rgb kRainbow[] = {{232, 50, 52}, {252, 214, 60}, {70, 180, 88}, {62, 120, 226}};

void PutOnRedHat(DrawnSubject& subject) {
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

// Straight, tall and wide of brim, unlike the red one.
void PutOnTopHat(DrawnSubject& subject) {
  const auto [x, y] = subject.anchors.crown;
  const float half = subject.anchors.crown_width / 2;
  const float top = std::max(1.0f, y - 19);
  Canvas& canvas = subject.canvas;
  canvas.Paint(Shape().Polygon({{x - half * .62f, y},
                                {x - half * .7f, top},
                                {x + half * .7f, top},
                                {x + half * .62f, y}},
                               1),
               kHatBlack);
  canvas.Paint(Shape().Box(x - half * .64f, y - 5, x + half * .64f, y - 1), Fill(kHatBand).Flat());
  canvas.Paint(Shape().Box(x - half * 1.15f, y - .5f, x + half * 1.15f, y + 2.5f, 1), kHatBlack);
}

// A band around the neck and one end that hangs down, each in four colours side by side.
void PutOnScarf(DrawnSubject& subject) {
  constexpr float kWidth = 9;
  const Anchors& anchors = subject.anchors;
  const float turn = anchors.neck_turn * 3.14159265f / 180;
  const cv::Point2f along(std::cos(turn), std::sin(turn));
  const cv::Point2f down(-along.y, along.x);
  const cv::Point2f start = anchors.neck - along * (anchors.neck_width / 2) - down * (kWidth / 2);
  const cv::Point2f end = start + along * (anchors.neck_width * .14f) + down * (kWidth - 2);

  auto band = [&](cv::Point2f corner, cv::Point2f length, cv::Point2f width) {
    subject.canvas.Paint(
        Shape().Polygon({corner, corner + length, corner + length + width, corner + width}, 1),
        kRainbow[0]);
    const cv::Point2f step = length / static_cast<float>(std::size(kRainbow));
    for (const Rgb& colour : kRainbow) {
      subject.canvas.Paint(
          Shape().Polygon({corner, corner + step, corner + step + width, corner + width}),
          Fill(colour).Flat());
      corner += step;
    }
  };
  band(end, {0, 22}, {kWidth, 0});
  band(start, along * anchors.neck_width, down * kWidth);
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
  if (accessory == Accessory::kRedHat) PutOnRedHat(subject);
  if (accessory == Accessory::kBlackTopHat) PutOnTopHat(subject);
  if (accessory == Accessory::kRainbowScarf && subject.anchors.neck_width > 0) PutOnScarf(subject);
}

}  // namespace likeness::mini
