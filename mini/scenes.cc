#include "mini/scenes.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "mini/canvas.h"

namespace likeness::mini {
namespace {

constexpr int kSize = kDrawingSize;

// A sheet of paper in pixels, with colours that vary a little from picture to picture.
class Sheet {
 public:
  explicit Sheet(Random& random) : random_(random), pixels_(kSize, kSize, cv::Vec3b()) {}

  float Draw(float low, float high) { return random_.Uniform(low, high); }
  float Either(float a, float b) { return random_.Chance(.5f) ? a : b; }
  cv::Scalar Vary(cv::Scalar colour, float by = 8) {
    float light = Draw(-by, by);
    for (int c = 0; c < 3; ++c) colour[c] += light + Draw(-by / 3, by / 3);
    return colour;
  }

  // From one colour at row `top` to another at row `bottom`.
  void Fade(float top, float bottom, const cv::Scalar& upper, const cv::Scalar& lower) {
    int first = std::max(0, static_cast<int>(top));
    int last = std::min(kSize, static_cast<int>(bottom));
    for (int y = first; y < last; ++y) {
      float t = (y - top) / std::max(1.f, bottom - top);
      pixels_.row(y).setTo(upper * (1 - t) + lower * t);
    }
  }
  void Box(float left, float top, float right, float bottom, const cv::Scalar& colour) {
    Polygon({{left, top}, {right, top}, {right, bottom}, {left, bottom}}, colour);
  }
  void Polygon(const Points& points, const cv::Scalar& colour) {
    std::vector<std::vector<cv::Point>> outline(1);
    for (const auto& point : points) outline[0].push_back(Fixed(point));
    cv::fillPoly(pixels_, outline, colour, cv::LINE_AA, kBits);
  }
  void Ellipse(float x, float y, float rx, float ry, const cv::Scalar& colour, float turn = 0) {
    cv::ellipse(pixels_, Fixed({x, y}), cv::Size(Fixed({rx, ry})), turn, 0, 360, colour, cv::FILLED,
                cv::LINE_AA, kBits);
  }
  void Line(cv::Point2f from, cv::Point2f to, int width, const cv::Scalar& colour) {
    cv::line(pixels_, Fixed(from), Fixed(to), colour, width, cv::LINE_AA, kBits);
  }
  cv::Mat3b& pixels() { return pixels_; }

 private:
  static constexpr int kBits = 4;
  static cv::Point Fixed(cv::Point2f p) {
    return {static_cast<int>(std::lround(p.x * (1 << kBits))),
            static_cast<int>(std::lround(p.y * (1 << kBits)))};
  }

  Random& random_;
  cv::Mat3b pixels_;
};

void DrawCloud(Sheet& sheet, float x, float y) {
  const cv::Scalar white(252, 253, 255);
  sheet.Ellipse(x, y, 13, 5, white);
  sheet.Ellipse(x - 4, y - 4, 7, 5, white);
  sheet.Ellipse(x + 5, y - 3, 6, 4, white);
}

void DrawSnow(Sheet& sheet) {
  const float horizon = sheet.Draw(60, 70);
  sheet.Fade(0, horizon, sheet.Vary({148, 182, 216}), sheet.Vary({206, 222, 238}));
  for (float side : {0.f, 1.f}) {
    float x = side * 96 + sheet.Draw(4, 28);
    float height = sheet.Draw(38, 50);
    auto green = sheet.Vary({56, 98, 92});
    for (float tier : {1.f, 0.f}) {
      float top = horizon + 2 - height * (1 - .38f * tier);
      float half = 11 + 5 * tier;
      float foot = horizon + 2 - height * .3f * (1 - tier);
      sheet.Polygon({{x - half, foot}, {x + half, foot}, {x, top}}, green);
      float cap = (foot - top) * .4f;
      if (tier == 0)
        sheet.Polygon({{x - half * .4f, top + cap}, {x + half * .4f, top + cap}, {x, top}},
                      {244, 248, 252});
    }
  }
  sheet.Fade(horizon, kSize, sheet.Vary({242, 246, 252}, 4), sheet.Vary({216, 226, 242}, 4));
  sheet.Ellipse(sheet.Draw(20, 108), horizon + 3, sheet.Draw(34, 56), 8, {243, 247, 252});
  for (int flake = 0; flake < 12; ++flake) {
    float radius = sheet.Draw(1.8f, 2.8f);
    sheet.Ellipse(sheet.Draw(0, kSize), sheet.Draw(0, kSize), radius, radius, {255, 255, 255});
  }
}

void DrawJungle(Sheet& sheet) {
  sheet.Fade(0, 100, sheet.Vary({64, 128, 58}), sheet.Vary({24, 74, 36}));
  for (float x : {sheet.Draw(14, 34), sheet.Draw(92, 114)}) {
    sheet.Box(x - 6, 0, x + 6, 100, sheet.Vary({98, 72, 42}));
  }
  sheet.Fade(98, kSize, sheet.Vary({58, 92, 40}), sheet.Vary({38, 66, 30}));
  for (int leaf = 0; leaf < 16; ++leaf) {
    float side = leaf % 2 == 0 ? 0 : 1;
    float x = side * kSize + (side == 0 ? 1 : -1) * sheet.Draw(-6, 40);
    float y = leaf * 6.5f + sheet.Draw(-6, 6);
    float turn = (side == 0 ? 1 : -1) * sheet.Draw(10, 60);
    float shade = sheet.Draw(0, 1);
    sheet.Ellipse(x, y, sheet.Draw(15, 22), sheet.Draw(6, 8),
                  {30 + 40 * shade, 104 + 70 * shade, 44 + 20 * shade}, turn);
  }
}

void DrawBeach(Sheet& sheet) {
  const float horizon = sheet.Draw(46, 54);
  const float shore = horizon + sheet.Draw(17, 23);
  sheet.Fade(0, horizon, sheet.Vary({96, 180, 240}), sheet.Vary({180, 224, 248}));
  const float sun = sheet.Either(22, 106);
  sheet.Ellipse(sun, 20, 11, 11, {255, 232, 96});
  sheet.Fade(horizon, shore, sheet.Vary({18, 106, 184}), sheet.Vary({52, 168, 208}));
  sheet.Fade(shore, kSize, sheet.Vary({246, 226, 168}, 6), sheet.Vary({228, 198, 130}, 6));
  sheet.Ellipse(sheet.Draw(20, 108), shore, sheet.Draw(50, 80), 3.5f, {240, 248, 250});
}

void DrawCobblestones(Sheet& sheet) {
  const float kerb = sheet.Draw(54, 62);
  auto wall = sheet.Vary({198, 160, 128});
  sheet.Fade(0, kerb, wall, wall * .9);
  for (float x : {sheet.Draw(6, 16), sheet.Draw(94, 102)}) {
    sheet.Box(x - 2, 10, x + 20, 40, {236, 224, 206});
    sheet.Box(x, 12, x + 18, 38, sheet.Vary({82, 96, 116}));
  }
  sheet.Fade(kerb, kSize, {84, 84, 92}, {84, 84, 92});
  bool odd = false;
  float height = 9;
  for (float y = kerb + 6; y < kSize + height; y += height * 1.05f) {
    float width = height * 2.1f;
    for (float x = odd ? 0 : -width / 2; x < kSize + width; x += width) {
      sheet.Ellipse(x, y, width * .45f, height * .46f, sheet.Vary({152, 152, 160}, 14));
    }
    odd = !odd;
    height += 1.8f;
  }
}

void DrawPinkFabric(Sheet& sheet) {
  const cv::Scalar pink = sheet.Vary({244, 148, 186});
  const float slant = sheet.Draw(-.35f, .35f);
  const float fold = sheet.Draw(8, 11);
  const float wave = sheet.Draw(24, 36);
  const float phase = sheet.Draw(0, 6);
  for (int y = 0; y < kSize; ++y) {
    for (int x = 0; x < kSize; ++x) {
      float w = std::sin((x * slant + y) / fold + 1.6f * std::sin(x / wave + phase));
      sheet.pixels()(y, x) = {cv::saturate_cast<uint8_t>(pink[0] + 9 * w),
                              cv::saturate_cast<uint8_t>(pink[1] + 26 * w),
                              cv::saturate_cast<uint8_t>(pink[2] + 22 * w)};
    }
  }
}

void DrawWoodenFloor(Sheet& sheet) {
  const float wall = sheet.Draw(24, 32);
  sheet.Box(0, 0, kSize, wall + 1, sheet.Vary({226, 232, 218}, 6));
  const float shift = sheet.Draw(-.5f, .5f);
  auto edge = [&](float board, float y) {
    return 64 + (board + shift) * (13 + 15 * (y - wall) / (kSize - wall));
  };
  for (int board = -7; board < 7; ++board) {
    sheet.Polygon({{edge(board, wall), wall},
                   {edge(board + 1, wall), wall},
                   {edge(board + 1, kSize), kSize},
                   {edge(board, kSize), kSize}},
                  sheet.Vary({192, 132, 74}, 15));
    sheet.Line({edge(board, wall), wall}, {edge(board, kSize), kSize}, 2, {126, 80, 40});
  }
  sheet.Box(0, wall - 5, kSize, wall, {250, 250, 244});
}

void DrawCity(Sheet& sheet) {
  const float road = sheet.Draw(82, 90);
  sheet.Fade(0, road + 1, sheet.Vary({120, 150, 208}), sheet.Vary({250, 206, 170}));
  float x = sheet.Draw(-10, 0);
  bool tall = sheet.Draw(0, 1) < .5f;
  while (x < kSize) {
    float width = sheet.Draw(24, 30);
    float top = tall ? sheet.Draw(8, 20) : sheet.Draw(32, 44);
    sheet.Box(x, top, x + width, road, sheet.Vary({94, 98, 126}, 16));
    for (float y = top + 7; y < road - 8; y += 15) {
      for (float w : {.2f, .6f})
        sheet.Box(x + width * w, y, x + width * w + 5, y + 7, {255, 226, 130});
    }
    x += width + 2;
    tall = !tall;
  }
  sheet.Box(0, road, kSize, road + 7, sheet.Vary({176, 174, 178}, 6));
  sheet.Box(0, road + 7, kSize, kSize, sheet.Vary({92, 94, 102}, 6));
}

void DrawMountain(Sheet& sheet) {
  const float meadow = sheet.Draw(74, 82);
  sheet.Fade(0, meadow, sheet.Vary({118, 184, 240}), sheet.Vary({206, 230, 248}));
  DrawCloud(sheet, sheet.Draw(52, 76), sheet.Draw(9, 14));
  for (float x : {sheet.Draw(18, 36), sheet.Draw(88, 108)}) {
    float top = sheet.Draw(10, 22);
    float half = sheet.Draw(46, 58);
    auto rock = sheet.Vary({116, 110, 138});
    sheet.Polygon({{x - half, meadow + 4}, {x, top}, {x + half, meadow + 4}}, rock);
    sheet.Polygon({{x + 4, meadow + 4}, {x, top}, {x + half, meadow + 4}}, rock * .84);
    float snow = .34f;
    float y = top + (meadow - top) * snow;
    sheet.Polygon({{x - half * snow, y},
                   {x, top},
                   {x + half * snow, y},
                   {x + half * .12f, y - 5},
                   {x, y + 5},
                   {x - half * .14f, y - 4}},
                  {248, 250, 253});
  }
  sheet.Fade(meadow, kSize, sheet.Vary({134, 192, 88}), sheet.Vary({92, 152, 62}));
}

void DrawBlueHouse(Sheet& sheet) {
  const float lawn = sheet.Draw(78, 86);
  sheet.Fade(0, lawn, sheet.Vary({176, 216, 244}), sheet.Vary({224, 240, 250}));
  const float x = sheet.Either(4, 58) + sheet.Draw(0, 8);
  const float width = 60;
  DrawCloud(sheet, x > 40 ? 24 : 106, sheet.Draw(14, 20));
  sheet.Box(x, 36, x + width, lawn + 3, sheet.Vary({50, 104, 214}));
  sheet.Polygon({{x - 6, 38}, {x + width / 2, 8}, {x + width + 6, 38}}, sheet.Vary({150, 70, 54}));
  for (float window : {7.f, 41.f}) {
    sheet.Box(x + window - 2, 44, x + window + 14, 60, {250, 250, 250});
    sheet.Box(x + window, 46, x + window + 12, 58, {252, 232, 150});
  }
  sheet.Box(x + 25, 56, x + 36, lawn + 3, {244, 244, 240});
  sheet.Fade(lawn, kSize, sheet.Vary({122, 190, 86}), sheet.Vary({84, 150, 64}));
}

void DrawPurpleRug(Sheet& sheet) {
  const float wall = sheet.Draw(56, 64);
  sheet.Box(0, 0, kSize, wall, sheet.Vary({240, 226, 198}, 5));
  sheet.Fade(wall, kSize, sheet.Vary({206, 192, 172}, 6), sheet.Vary({184, 168, 148}, 6));
  sheet.Box(0, wall - 6, kSize, wall, {252, 248, 240});
  const float x = 64 + sheet.Draw(-5, 5);
  const float y = 101 + sheet.Draw(-3, 3);
  const auto purple = sheet.Vary({132, 62, 178});
  sheet.Ellipse(x, y, 62, 26, purple * .72);
  sheet.Ellipse(x, y - 1, 57, 22.5f, {236, 200, 104});
  sheet.Ellipse(x, y - 1, 52, 19.5f, purple);
}

}  // namespace

cv::Mat3b DrawScene(Scene scene, Random& random) {
  using Draw = void (*)(Sheet&);
  constexpr Draw kDraw[kScenes] = {DrawSnow,       DrawJungle,      DrawBeach, DrawCobblestones,
                                   DrawPinkFabric, DrawWoodenFloor, DrawCity,  DrawMountain,
                                   DrawBlueHouse,  DrawPurpleRug};
  Sheet sheet(random);
  kDraw[static_cast<int>(scene)](sheet);
  return sheet.pixels();
}

}  // namespace likeness::mini
