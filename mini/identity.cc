#include <algorithm>
#include <cmath>

#include "mini/world.h"

namespace likeness::mini {
namespace {

// A range of hues in degrees, of saturations and of values. Ranges of two names keep a gap, so that
// a name can be learned.
struct Shades {
  float hue[2];
  float saturation[2];
  float value[2];
};

constexpr Shades kShades[kColours] = {
    {{-7, 5}, {.78f, .95f}, {.74f, .92f}},     // red
    {{23, 31}, {.85f, .98f}, {.93f, 1.f}},     // orange
    {{48, 56}, {.72f, .92f}, {.94f, 1.f}},     // yellow
    {{105, 145}, {.60f, .85f}, {.52f, .78f}},  // green
    {{208, 230}, {.68f, .92f}, {.68f, .95f}},  // blue
    {{266, 284}, {.50f, .78f}, {.50f, .74f}},  // purple
    {{325, 342}, {.36f, .58f}, {.95f, 1.f}},   // pink
    {{20, 29}, {.52f, .72f}, {.40f, .54f}},    // brown
    {{0, 360}, {.00f, .18f}, {.13f, .18f}},    // black
    {{0, 360}, {.00f, .04f}, {.94f, 1.f}},     // white
    {{0, 360}, {.00f, .05f}, {.52f, .62f}},    // gray
};

Rgb FromHsv(float hue, float saturation, float value) {
  auto channel = [&](float n) {
    float k = std::fmod(n + hue / 60 + 6, 6.0f);
    return 255 * value * (1 - saturation * std::clamp(std::min(k, 4 - k), 0.0f, 1.0f));
  };
  return {channel(5), channel(3), channel(1)};
}

Rgb DrawShade(Colour colour, Random& random) {
  const Shades& shades = kShades[static_cast<int>(colour)];
  float hue = random.Uniform(shades.hue[0], shades.hue[1]);
  float saturation = random.Uniform(shades.saturation[0], shades.saturation[1]);
  float value = random.Uniform(shades.value[0], shades.value[1]);
  return FromHsv(hue, saturation, value);
}

Pattern DrawPattern(Random& random) {
  float u = random.Uniform();
  if (u < .34f) return Pattern::kPlain;
  if (u < .60f) return Pattern::kStriped;
  if (u < .84f) return Pattern::kSpotted;
  return Pattern::kPatched;
}

float Contrast(const Rgb& a, const Rgb& b) {
  return std::abs(a[0] - b[0]) + std::abs(a[1] - b[1]) + std::abs(a[2] - b[2]);
}

Identity Attempt(SubjectClass subject_class, uint64_t seed, Random& random) {
  constexpr float kLeastContrast = 190;
  Identity identity;
  identity.subject_class = subject_class;
  identity.seed = seed;
  identity.primary = static_cast<Colour>(random.Below(kColours));
  identity.primary_rgb = DrawShade(identity.primary, random);
  do {
    identity.secondary = static_cast<Colour>(random.Below(kColours));
    identity.secondary_rgb = DrawShade(identity.secondary, random);
  } while (identity.secondary == identity.primary ||
           Contrast(identity.primary_rgb, identity.secondary_rgb) < kLeastContrast);
  identity.pattern = DrawPattern(random);
  identity.pattern_period = random.Uniform(20, 27);
  identity.pattern_angle = random.Uniform(0, 3.14159265f);
  identity.pattern_phase = random.Uniform();
  for (float& proportion : identity.proportions) proportion = random.Uniform();
  return identity;
}

constexpr uint64_t kIdentityStream = 1;
constexpr uint64_t kHeldOutStream = 2;

}  // namespace

bool IsHeldOutLook(SubjectClass subject_class, Colour primary, Colour secondary, Pattern pattern) {
  uint64_t look = static_cast<uint64_t>(subject_class);
  look = look * kColours + static_cast<uint64_t>(primary);
  look = look * kColours + static_cast<uint64_t>(secondary);
  look = look * kPatterns + static_cast<uint64_t>(pattern);
  constexpr int kOneIn = 8;
  return Random(look, kHeldOutStream).Below(kOneIn) == 0;
}

Identity DrawIdentity(SubjectClass subject_class, uint64_t seed) {
  Random random(seed, kIdentityStream + 16 * static_cast<uint64_t>(subject_class));
  const bool held_out = seed < kFirstPretrainingSeed;
  while (true) {
    Identity identity = Attempt(subject_class, seed, random);
    if (IsHeldOutLook(subject_class, identity.primary, identity.secondary, identity.pattern) ==
        held_out) {
      return identity;
    }
  }
}

}  // namespace likeness::mini
