// The picture world that the miniature model is pretrained on: 64 x 64 drawings of eight classes of
// subject in ten scenes.
//
// A subject is an Identity (class, colours, pattern, proportions); a Depiction puts it in a scene,
// under a view, perhaps wearing something. Everything is a pure function of seeds. Thread safe.
// Every subject looks to the right.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "mini/random.h"
#include "worker/base/image.h"

namespace likeness::mini {

inline constexpr int kImageSize = 64;

enum class SubjectClass { kDog, kCat, kDuck, kRobot, kCar, kBoat, kTeapot, kBackpack };
inline constexpr int kClasses = 8;

enum class Scene {
  kSnow,
  kJungle,
  kBeach,
  kCobblestones,
  kPinkFabric,
  kWoodenFloor,
  kCity,
  kMountain,
  kBlueHouse,
  kPurpleRug,
};
inline constexpr int kScenes = 10;

enum class Colour {
  kRed,
  kOrange,
  kYellow,
  kGreen,
  kBlue,
  kPurple,
  kPink,
  kBrown,
  kBlack,
  kWhite,
  kGray,
};
inline constexpr int kColours = 11;

enum class Pattern { kPlain, kStriped, kSpotted, kPatched };
inline constexpr int kPatterns = 4;

enum class Accessory { kNone, kRedHat, kBlackTopHat, kRainbowScarf };
inline constexpr int kAccessories = 4;

using Rgb = std::array<float, 3>;  // 0..255

// What makes a subject this one and no other.
struct Identity {
  SubjectClass subject_class;
  uint64_t seed;
  Colour primary;    // the body
  Colour secondary;  // pattern and parts
  Rgb primary_rgb;   // the very shade
  Rgb secondary_rgb;
  Pattern pattern;
  float pattern_period;  // stripes and spots, in pixels of the 128 x 128 drawing; at least 16
  float pattern_angle;   // stripes, radians
  float pattern_phase;   // 0..1
  std::array<float, 4> proportions;  // 0..1 each; what they mean depends on the class
};

// How the photograph was taken.
struct View {
  float x;      // offset of the subject, in widths of the picture
  float y;      // offset, downwards
  float scale;  // .70 .. .92 of the drawing
  float turn;   // degrees
  float light;  // gain, about 1
  float tint;   // towards red, -.05 .. .05
};

struct Depiction {
  Identity identity;
  Scene scene;
  Accessory accessory;
  View view;
  uint64_t scene_seed;  // where the trees of this jungle stand
};

// Identities come in two kinds that never mix. Seeds below 2^32 are held out: their combination of
// class, both colours and pattern occurs in no pretraining identity, and theirs alone may be asked
// for by `draw-subject`. Seeds from 2^32 on are for pretraining.
inline constexpr uint64_t kFirstPretrainingSeed = uint64_t{1} << 32;
bool IsHeldOutLook(SubjectClass subject_class, Colour primary, Colour secondary, Pattern pattern);

Identity DrawIdentity(SubjectClass subject_class, uint64_t seed);
View DrawView(Random& random);

// Whether a subject of this class can wear it: hats suit all, a scarf needs a neck.
bool CanWear(SubjectClass subject_class, Accessory accessory);

// Example `index` of the pretraining stream: class, identity, scene, accessory and view drawn from
// `index` alone. An identity is shared by no two indices; accessories are worn in about two
// fifths of the examples.
Depiction PretrainingDepiction(uint64_t index);

// The picture: kImageSize x kImageSize. About 2 ms on one thread.
Image Render(const Depiction& depiction);

}  // namespace likeness::mini
