#include "mini/world.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "mini/scenes.h"
#include "mini/subjects.h"

namespace likeness::mini {
namespace {

constexpr uint64_t kSceneStream = 4;
constexpr uint64_t kExampleStream = 5;

// Where subjects touch the ground, in the drawing's own frame and in the picture.
const cv::Point2f kFeet{.50f * kDrawingSize, .925f * kDrawingSize};
const cv::Point2f kGround{.50f * kDrawingSize, .885f * kDrawingSize};

cv::Point2f FeetIn(const View& view) {
  return kGround + cv::Point2f(view.x, view.y) * static_cast<float>(kDrawingSize);
}

void CastShadow(const View& view, cv::Mat3b& picture) {
  cv::Mat1f shade(kDrawingSize, kDrawingSize, 1.0f);
  const cv::Point2f feet = FeetIn(view);
  cv::Size size(static_cast<int>(46 * view.scale), static_cast<int>(8 * view.scale));
  cv::ellipse(shade, cv::Point(feet), size, 0, 0, 360, 0.62f, cv::FILLED);
  cv::blur(shade, shade, {9, 7});
  for (int y = std::max(0, static_cast<int>(feet.y) - 20); y < kDrawingSize; ++y) {
    for (int x = 0; x < kDrawingSize; ++x) picture(y, x) = picture(y, x) * shade(y, x);
  }
}

void Place(const cv::Mat4b& subject, const View& view, cv::Mat3b& picture) {
  cv::Mat1d transform = cv::getRotationMatrix2D(kFeet, view.turn, view.scale);
  const cv::Point2f shift = FeetIn(view) - kFeet;
  transform(0, 2) += shift.x;
  transform(1, 2) += shift.y;
  cv::Mat4b placed;
  cv::warpAffine(subject, placed, transform, subject.size(), cv::INTER_LINEAR);
  for (int y = 0; y < kDrawingSize; ++y) {
    for (int x = 0; x < kDrawingSize; ++x) {
      const auto& over = placed(y, x);
      auto& under = picture(y, x);
      for (int c = 0; c < 3; ++c) {
        under[c] = cv::saturate_cast<uint8_t>(over[c] + under[c] * (255 - over[3]) / 255);
      }
    }
  }
}

Image Expose(const cv::Mat3b& picture, const View& view) {
  cv::Mat3b small;
  cv::resize(picture, small, {kImageSize, kImageSize}, 0, 0, cv::INTER_AREA);
  const float gain[3] = {view.light * (1 + view.tint), view.light, view.light * (1 - view.tint)};
  Image image{kImageSize, kImageSize, std::vector<uint8_t>(3 * small.total())};
  for (size_t i = 0; i < small.total(); ++i) {
    for (int c = 0; c < 3; ++c) {
      image.rgb[3 * i + c] = cv::saturate_cast<uint8_t>(small.data[3 * i + c] * gain[c]);
    }
  }
  return image;
}

Accessory DrawAccessory(SubjectClass subject_class, Random& random) {
  float u = random.Uniform();
  auto accessory = u < .16f   ? Accessory::kRedHat
                   : u < .32f ? Accessory::kRainbowScarf
                   : u < .48f ? Accessory::kBlackTopHat
                              : Accessory::kNone;
  return CanWear(subject_class, accessory) ? accessory : Accessory::kNone;
}

}  // namespace

View DrawView(Random& random) {
  View view;
  view.x = random.Uniform(-.045f, .045f);
  view.y = random.Uniform(-.04f, .03f);
  view.scale = random.Uniform(.74f, .94f);
  view.turn = random.Uniform(-6, 6);
  view.light = random.Uniform(.90f, 1.06f);
  view.tint = random.Uniform(-.04f, .04f);
  return view;
}

bool CanWear(SubjectClass subject_class, Accessory accessory) {
  return accessory != Accessory::kRainbowScarf || subject_class <= SubjectClass::kRobot;
}

Depiction PretrainingDepiction(uint64_t index) {
  Random random(index, kExampleStream);
  auto subject_class = static_cast<SubjectClass>(random.Below(kClasses));
  auto scene = static_cast<Scene>(random.Below(kScenes));
  auto accessory = DrawAccessory(subject_class, random);
  auto view = DrawView(random);
  return {.identity = DrawIdentity(subject_class, kFirstPretrainingSeed + index),
          .scene = scene,
          .accessory = accessory,
          .view = view,
          .scene_seed = random.Next()};
}

Image Render(const Depiction& depiction) {
  Random random(depiction.scene_seed, kSceneStream);
  cv::Mat3b picture = DrawScene(depiction.scene, random);
  DrawnSubject subject = DrawSubject(depiction.identity);
  PutOn(depiction.accessory, subject);
  CastShadow(depiction.view, picture);
  Place(subject.canvas.rgba(), depiction.view, picture);
  return Expose(picture, depiction.view);
}

}  // namespace likeness::mini
