#include "mini/things.h"

#include "mini/palette.h"

namespace likeness::mini {
namespace {

constexpr Rgb kWood{128, 86, 48};
constexpr Rgb kHeadlight{255, 238, 140};

}  // namespace

// Proportions: height of the roof, wheels, length of the roof, nose.
DrawnSubject DrawCar(const Identity& identity) {
  Palette fill(identity);
  auto [height, wheels, length, nose] = identity.proportions;
  Canvas canvas;
  const float roof = 40 - 8 * height;
  const float end = 62 + 6 * length;
  Shape car;
  car.Polygon({{19, 60}, {31, roof + 2}, {end, roof + 2}, {80, 60}}, 2.5f);
  car.Polygon({{7, 60}, {80, 59}, {90 + 3 * nose, 65}, {91 + 3 * nose, 78}, {7, 78}}, 3);
  canvas.Paint(car, fill.body);
  canvas.Paint(Shape().Polygon({{27, 56}, {35, roof + 6}, {47, roof + 6}, {47, 56}}, 1), kGlass);
  canvas.Paint(Shape().Polygon({{54, 56}, {54, roof + 6}, {end - 2, roof + 6}, {73, 56}}, 1),
               kGlass);
  canvas.Paint(Shape().Box(6, 76, 92 + 3 * nose, 79, 1.5f), fill.accent);
  const float radius = 9.5f + 3 * wheels;
  for (float x : {25.f, 75.f}) {
    canvas.Paint(Shape().Ellipse(x, 82, radius, radius), kInk);
    canvas.Paint(Shape().Ellipse(x, 82, radius * .45f, radius * .45f), fill.accent);
  }
  canvas.Paint(Shape().Ellipse(89 + 3 * nose, 67, 3.6f, 4), Fill(kHeadlight).Flat());
  return {canvas, {.crown = {(31 + end) / 2, roof + 1}, .crown_width = 28}};
}

// Proportions: hull, foresail, mainsail, mast.
DrawnSubject DrawBoat(const Identity& identity) {
  Palette fill(identity);
  auto [hull, foresail, mainsail, mast] = identity.proportions;
  Canvas canvas;
  const float top = 20 - 4 * mast;
  canvas.Paint(Shape().Stroke({{46, 70}, {46, top - 4}}, 3.4f), kWood);
  canvas.Paint(Shape().Blob({{50, top},
                             {53, 38},
                             {51, 61},
                             {62, 60},
                             {72 + 14 * mainsail, 60},
                             {65 + 8 * mainsail, 44},
                             {56, 24}}),
               fill.accent);
  canvas.Paint(Shape().Polygon({{41, top + 8}, {41, 60}, {25 - 9 * foresail, 60}}, 1.5f),
               fill.body);
  Shape boat;
  boat.Polygon({{8, 68}, {94, 68}, {80 - 6 * hull, 88}, {22 + 6 * hull, 88}}, 3);
  canvas.Paint(boat, fill.body);
  canvas.Paint(Shape().Box(6, 66, 95, 68, 1.6f), kChalk);
  return {canvas, {.crown = {46, top + 2}, .crown_width = 26}};
}

// Proportions: girth, height, handle, spout.
DrawnSubject DrawTeapot(const Identity& identity) {
  Palette fill(identity);
  auto [girth, height, handle, spout] = identity.proportions;
  Canvas canvas;
  const float wide = 26 + 4 * girth;
  const float tall = 22 + 3 * height;
  canvas.Paint(Shape().Ring(48 - wide, 62, 11 + 3 * handle, 13 + 3 * handle, 6), fill.accent);
  canvas.Paint(Shape().Box(36, 84, 60, 90, 2), fill.accent);
  Shape pot;
  pot.Blob({{64, 76},
            {66, 58},
            {80, 55},
            {86, 44 - 4 * spout},
            {91, 37 - 6 * spout},
            {98, 40 - 6 * spout},
            {92, 56},
            {84, 72}});
  pot.Ellipse(48, 65, wide, tall);
  canvas.Paint(pot, fill.body);
  const float lid = 67 - tall;
  canvas.Paint(Shape().Ellipse(48, lid, 16, 5.5f), fill.accent);
  canvas.Paint(Shape().Ellipse(48, lid - 8, 5, 5), fill.accent);
  return {canvas, {.crown = {48, lid - 5}, .crown_width = 29}};
}

// Proportions: girth, pocket, handle, shoulders.
DrawnSubject DrawBackpack(const Identity& identity) {
  Palette fill(identity);
  auto [girth, pocket, handle, shoulders] = identity.proportions;
  Canvas canvas;
  const float half = 23 + 4 * girth;
  canvas.Paint(Shape().Ring(50, 21, 9, 8 + 3 * handle, 4), kInk);
  canvas.Paint(Shape().Box(47 - half, 58, 53 + half, 84, 3), fill.shadow);
  const float top = 22 - 4 * shoulders;
  canvas.Paint(Shape().Blob({{50, top},
                             {46 + half, top + 9},
                             {50 + half, 46},
                             {50 + half, 78},
                             {46 + half, 91},
                             {50, 93},
                             {54 - half, 91},
                             {50 - half, 78},
                             {50 - half, 46},
                             {54 - half, top + 9}}),
               fill.body);
  const float flap = 58 + 5 * pocket;
  canvas.Paint(Shape().Box(37, flap, 63, 84, 4), fill.accent);
  canvas.Paint(Shape().Stroke({{36, flap + 5}, {64, flap + 5}}, 2.4f), Fill(kInk).Flat());
  canvas.Paint(Shape().Stroke({{56 - half, 44}, {44 + half, 44}}, 2.4f), Fill(kInk).Flat());
  return {canvas, {.crown = {50, top + 3}, .crown_width = 30}};
}

}  // namespace likeness::mini
