#include "mini/creatures.h"

#include "mini/palette.h"

namespace likeness::mini {
namespace {

constexpr Rgb kBeak{250, 158, 32};
constexpr Rgb kCatEye{134, 216, 96};
constexpr Rgb kCatNose{240, 130, 150};
constexpr Rgb kLamp{252, 226, 92};
constexpr Rgb kScreen{38, 44, 58};

// An eye that looks to the right.
void PaintEye(Canvas& canvas, float x, float y, float radius) {
  canvas.Paint(Shape().Ellipse(x, y, radius, radius), Fill(kChalk).Flat());
  canvas.Paint(Shape().Ellipse(x + radius * .25f, y, radius * .62f, radius * .62f),
               Fill(kInk).Flat());
}

}  // namespace

// Proportions: muzzle, girth, ears, tail.
DrawnSubject DrawDog(const Identity& identity) {
  Palette fill(identity);
  auto [muzzle, girth, ears, tail] = identity.proportions;
  Canvas canvas;
  const float belly = 67 + 5 * girth;
  canvas.Paint(Shape().Box(34, 64, 38, 88, 2).Box(64, 64, 68, 88, 2), fill.shadow);
  Shape dog;
  dog.Stroke({{24, 56}, {14, 50}, {10, 40 - 6 * tail}, {13, 31 - 10 * tail}}, 6);
  dog.Blob({{20, 56},
            {28, 47},
            {48, 48},
            {60, 44},
            {72, 50},
            {73, 62},
            {62, belly},
            {44, belly - 1},
            {30, belly},
            {21, 66}});
  dog.Blob({{56, 48}, {62, 34}, {74, 38}, {74, 60}, {62, 64}});
  dog.Ellipse(71, 35, 14.5f, 13.5f);
  dog.Blob({{74, 32}, {84, 35}, {90 + 5 * muzzle, 39}, {91 + 5 * muzzle, 45}, {84, 49}, {74, 48}});
  dog.Box(25, 64, 30, 89, 2).Box(56, 64, 61, 89, 2);
  canvas.Paint(dog, fill.body);
  const float ear = 50 + 13 * ears;
  canvas.Paint(Shape().Blob({{64, 25}, {70, 27}, {70, 40}, {65, ear}, {57, ear - 5}, {58, 36}}),
               fill.accent);
  canvas.Paint(Shape().Ellipse(91 + 5 * muzzle, 38.5f, 4, 3.4f), kInk);
  PaintEye(canvas, 77, 33, 4.2f);
  return {canvas,
          {.crown = {71, 23.5f},
           .crown_width = 27,
           .neck = {66, 52},
           .neck_width = 22,
           .neck_turn = 24}};
}

// Proportions: girth, head, ears, tail.
DrawnSubject DrawCat(const Identity& identity) {
  Palette fill(identity);
  auto [girth, head, ears, tail] = identity.proportions;
  Canvas canvas;
  canvas.Paint(
      Shape().Stroke({{60, 88}, {76, 89}, {87, 80}, {86, 66}, {80 + 6 * tail, 54 - 8 * tail}}, 7),
      fill.body);
  const float hip = 17 + 6 * girth;
  canvas.Paint(Shape().Blob({{50, 48},
                             {61, 54},
                             {50 + hip, 78},
                             {48 + hip, 92},
                             {50, 94},
                             {52 - hip, 92},
                             {50 - hip, 78},
                             {39, 54}}),
               fill.body);
  canvas.Paint(Shape().Ellipse(42, 92, 7, 4.6f).Ellipse(58, 92, 7, 4.6f), fill.accent);
  const float wide = 20 + 3 * head;
  const float tip = 20 - 9 * ears;
  Shape face;
  face.Polygon({{51 - wide, 36}, {53 - wide, tip}, {47, 27}}, 1.5f);
  face.Polygon({{49 + wide, 36}, {47 + wide, tip}, {53, 27}}, 1.5f);
  face.Ellipse(50, 39, wide, 17);
  canvas.Paint(face, fill.body);
  canvas.Paint(Shape().Ellipse(50, 47.5f, 9, 6.5f), fill.accent.Flat());
  for (float side : {-1.f, 1.f}) {
    canvas.Paint(Shape().Ellipse(50 + side * 9, 36.5f, 4.8f, 5.2f), kCatEye);
    canvas.Paint(Shape().Ellipse(50 + side * 9, 36.5f, 1.9f, 4.2f), Fill(kInk).Flat());
  }
  canvas.Paint(Shape().Ellipse(50, 44, 3, 2.2f), Fill(kCatNose).Flat());
  return {canvas, {.crown = {50, 23.5f}, .crown_width = 29, .neck = {50, 57}, .neck_width = 27}};
}

// Proportions: girth, head, bill, tail.
DrawnSubject DrawDuck(const Identity& identity) {
  Palette fill(identity);
  auto [girth, head, bill, tail] = identity.proportions;
  Canvas canvas;
  for (float x : {40.f, 53.f}) {
    canvas.Paint(Shape().Stroke({{x, 80}, {x, 92}, {x + 8, 92}}, 3.4f), kBeak);
  }
  const float bottom = 83 + 4 * girth;
  const float crown = 12.5f + 2 * head;
  Shape duck;
  duck.Blob({{6, 50 - 8 * tail},
             {20, 57},
             {38, 54},
             {54, 54},
             {72, 56},
             {78, 68},
             {68, bottom - 3},
             {46, bottom},
             {24, bottom - 5},
             {13, 68}});
  duck.Blob({{58, 60}, {62, 46}, {60, 32}, {80, 32}, {79, 48}, {78, 68}, {66, 72}});
  duck.Ellipse(70, 32, crown, crown);
  canvas.Paint(Shape().Blob({{78, 26}, {88, 30}, {93 + 5 * bill, 36}, {88, 39}, {78, 39}}), kBeak);
  canvas.Paint(duck, fill.body);
  canvas.Paint(Shape().Blob({{24, 62}, {40, 59}, {57, 62}, {55, 72}, {42, 77}, {30, 73}}),
               fill.accent);
  PaintEye(canvas, 75, 29, 4);
  return {canvas, {.crown = {70, 20.5f}, .crown_width = 25, .neck = {70, 50}, .neck_width = 20}};
}

// Proportions: girth, arms, antenna, screen.
DrawnSubject DrawRobot(const Identity& identity) {
  Palette fill(identity);
  auto [girth, arms, antenna, screen] = identity.proportions;
  Canvas canvas;
  const float half = 17 + 6 * girth;
  const float tip = 11 - 5 * antenna;
  canvas.Paint(Shape().Stroke({{50, 24}, {50, tip}}, 2.6f), kSteel);
  canvas.Paint(Shape().Ellipse(50, tip, 4, 4), fill.accent);
  canvas.Paint(Shape().Box(40, 76, 45, 90, 1).Box(55, 76, 60, 90, 1), kSteel);
  canvas.Paint(Shape().Box(36, 90, 46, 92, 2).Box(54, 90, 64, 92, 2), kSteel);
  const float hand = 66 + 6 * arms;
  for (float side : {-1.f, 1.f}) {
    float x = 50 + side * (half + 7);
    canvas.Paint(Shape().Box(x - 2.5f, 52, x + 2.5f, hand, 3), fill.accent);
  }
  canvas.Paint(Shape().Box(50 - half, 50, 50 + half, 76, 4), fill.body);
  canvas.Paint(Shape().Box(33, 23, 67, 40, 4), fill.body);
  canvas.Paint(Shape().Box(38, 26 - screen, 62, 36 + screen, 2), kScreen);
  for (float x : {44.f, 56.f}) canvas.Paint(Shape().Ellipse(x, 31, 4, 4), Fill(kLamp).Flat());
  canvas.Paint(Shape().Box(43, 58, 57, 67, 2), fill.accent);
  return {canvas, {.crown = {50, 20}, .crown_width = 32, .neck = {50, 47}, .neck_width = 28}};
}

}  // namespace likeness::mini
