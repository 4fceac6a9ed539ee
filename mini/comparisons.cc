#include "mini/comparisons.h"

#include <array>
#include <cmath>
#include <numbers>
#include <opencv2/imgproc.hpp>

namespace likeness::mini {
namespace {

constexpr uint64_t kComparisonStream = 9;
constexpr float kTurn = 2 * std::numbers::pi_v<float>;
// At strength 1: standard deviation in values of 255; pixels; pixels; gain.
constexpr float kNoise = 60, kBlur = 2.5f, kShift = 12, kTint = .5f;
constexpr const char* kNames[kChanges] = {"noise",      "blur",    "shift",  "tint",
                                          "view",       "scenery", "scene",  "accessory",
                                          "proportion", "pattern", "colour", "class"};

// Another of `count` values.
template <typename T>
T Other(T value, int count, Random& random) {
  return static_cast<T>((static_cast<int>(value) + 1 + random.Below(count - 1)) % count);
}

// What is done to a picture, and how much of it at strength 1. A shift and a tint go the same way
// at every strength.
struct Distortion {
  Change change;
  float angle;                // of the shift
  std::array<float, 3> gain;  // of the channels, -1 .. 1
};

// Shares memory with the picture.
cv::Mat3b PixelsOf(Image& picture) {
  return {picture.height, picture.width, reinterpret_cast<cv::Vec3b*>(picture.rgb.data())};
}

void Shift(float x, float y, Image& picture) {
  auto pixels = PixelsOf(picture);
  cv::warpAffine(pixels.clone(), pixels, cv::Matx23f(1, 0, x, 0, 1, y), pixels.size(),
                 cv::INTER_LINEAR, cv::BORDER_REPLICATE);
}

Image Distort(const Image& picture, const Distortion& distortion, float strength, Random& random) {
  Image distorted = picture;
  auto pixels = PixelsOf(distorted);
  switch (distortion.change) {
    case Change::kNoise:
      // Uniform, of the standard deviation that is named.
      for (auto& value : distorted.rgb) {
        const float noise = std::sqrt(3.f) * random.Uniform(-1, 1);
        value = cv::saturate_cast<uint8_t>(static_cast<float>(value) + kNoise * strength * noise);
      }
      break;
    case Change::kBlur:
      cv::GaussianBlur(pixels, pixels, {}, kBlur * strength);
      break;
    case Change::kShift: {
      const float length = kShift * strength;
      Shift(length * std::cos(distortion.angle), length * std::sin(distortion.angle), distorted);
      break;
    }
    default:
      for (size_t i = 0; i < distorted.rgb.size(); ++i) {
        const float gain = 1 + kTint * strength * distortion.gain[i % 3];
        distorted.rgb[i] = cv::saturate_cast<uint8_t>(static_cast<float>(distorted.rgb[i]) * gain);
      }
  }
  return distorted;
}

// As if the camera had moved a little, and the light. By whole pixels: parts of one would blur. A
// jitter of what is compared is left out.
Image Jitter(const Image& picture, Change compared, Random& random) {
  const int x = random.Below(5) - 2, y = random.Below(5) - 2;
  const Distortion light{.change = Change::kTint, .angle = 0, .gain = {1, 1, 1}};
  const float lit = random.Uniform(-.06f, .06f) / kTint;
  Image jittered = picture;
  if (compared != Change::kShift) Shift(static_cast<float>(x), static_cast<float>(y), jittered);
  if (compared != Change::kTint) jittered = Distort(jittered, light, lit, random);
  return jittered;
}

// The new values of everything that may change, so that two pictures change alike.
struct Values {
  Identity identity;  // of another subject
  View view;
  uint64_t scene_seed;
  Scene scene;
  Accessory accessory;
  SubjectClass subject_class;
};

Values DrawValues(const Depiction& reference, Random& random) {
  Values values{.identity = reference.identity,
                .view = DrawView(random),
                .scene_seed = random.Next(),
                .scene = Other(reference.scene, kScenes, random),
                .accessory = random.Chance(.5f) ? Accessory::kRedHat : Accessory::kBlackTopHat,
                .subject_class = Other(reference.identity.subject_class, kClasses, random)};
  Identity& identity = values.identity;
  identity.pattern = Other(identity.pattern, kPatterns, random);
  // By half of its range each: what is seen, and no more.
  for (float& proportion : identity.proportions) {
    proportion = proportion < .5f ? proportion + .5f : proportion - .5f;
  }
  // The colour of some other subject that goes with this one's second colour.
  do {
    const auto other = DrawIdentity(identity.subject_class,
                                    kFirstPretrainingSeed + random.Next() % (uint64_t{1} << 30));
    identity.primary = other.primary;
    identity.primary_rgb = other.primary_rgb;
  } while (identity.primary == reference.identity.primary ||
           identity.primary == reference.identity.secondary);
  return values;
}

void Apply(Change change, const Values& values, Depiction& depiction) {
  switch (change) {
    case Change::kView:
      depiction.view = values.view;
      break;
    case Change::kScenery:
      depiction.scene_seed = values.scene_seed;
      break;
    case Change::kScene:
      depiction.scene = values.scene;
      break;
    case Change::kAccessory:
      depiction.accessory = values.accessory;
      break;
    case Change::kProportion:
      depiction.identity.proportions = values.identity.proportions;
      break;
    case Change::kPattern:
      depiction.identity.pattern = values.identity.pattern;
      break;
    case Change::kColour:
      depiction.identity.primary = values.identity.primary;
      depiction.identity.primary_rgb = values.identity.primary_rgb;
      break;
    default:
      depiction.identity.subject_class = values.subject_class;
  }
}

// Whether `change` still means something to a picture that has `other` too.
bool GoesWith(Change change, Change other) {
  if (change == Change::kScenery) return other != Change::kScene;
  if (change == Change::kProportion) return other != Change::kClass;
  return change != other;
}

}  // namespace

const char* Name(Change change) { return kNames[static_cast<int>(change)]; }

Comparison DrawComparison(uint64_t first_seed, uint32_t index) {
  const auto change = static_cast<Change>(index % kChanges);
  const uint64_t seed = first_seed + index;
  Random random(seed, kComparisonStream);
  const auto subject_class = static_cast<SubjectClass>(random.Below(kClasses));
  const auto scene = static_cast<Scene>(random.Below(kScenes));
  const View view = DrawView(random);
  const Depiction reference{.identity = DrawIdentity(subject_class, seed),
                            .scene = scene,
                            .accessory = Accessory::kNone,
                            .view = view,
                            .scene_seed = random.Next()};
  Comparison comparison{
      .change = change, .reference = Render(reference), .nearer = {}, .further = {}};
  if (!IsDrawn(change)) {
    Distortion distortion{.change = change, .angle = random.Uniform(0, kTurn), .gain = {}};
    for (float& gain : distortion.gain) gain = random.Uniform(-1, 1);
    const float weaker = random.Uniform(.15f, .6f);
    const float stronger = weaker * random.Uniform(1.25f, 1.65f);
    const auto distorted = [&](float strength) {
      return Jitter(Distort(comparison.reference, distortion, strength, random), change, random);
    };
    comparison.nearer = distorted(weaker);
    comparison.further = distorted(stronger);
    return comparison;
  }
  const Values values = DrawValues(reference, random);
  Depiction depiction = reference;
  for (int i = static_cast<int>(Change::kView); i < kChanges; ++i) {
    const auto other = static_cast<Change>(i);
    const bool chosen = random.Chance(.4f);
    if (chosen && other != change && GoesWith(change, other)) Apply(other, values, depiction);
  }
  comparison.nearer = Jitter(Render(depiction), change, random);
  Apply(change, values, depiction);
  comparison.further = Jitter(Render(depiction), change, random);
  return comparison;
}

}  // namespace likeness::mini
