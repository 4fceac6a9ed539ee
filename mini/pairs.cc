#include "mini/pairs.h"

#include <cmath>

namespace likeness::mini {
namespace {

constexpr uint64_t kPairStream = 8;
constexpr uint32_t kFirstSubject = 1u << 28;  // beyond those of draw-subject
constexpr const char* kNames[kDifferences] = {"view",   "accessory", "proportion", "pattern",
                                              "colour", "instance",  "class"};

Depiction Seen(const Identity& identity, Random& random) {
  const auto scene = static_cast<Scene>(random.Below(kScenes));
  const View view = DrawView(random);
  return {.identity = identity,
          .scene = scene,
          .accessory = Accessory::kNone,
          .view = view,
          .scene_seed = random.Next()};
}

// Another of `count` values.
int Other(int value, int count, Random& random) {
  return (value + 1 + random.Below(count - 1)) % count;
}

Identity Changed(const Identity& identity, Difference difference, uint32_t index, Random& random) {
  Identity changed = identity;
  const auto stranger = [&](SubjectClass subject_class) {
    return DrawIdentity(subject_class, kFirstSubject + (uint64_t{1} << 27) + index);
  };
  switch (difference) {
    case Difference::kView:
    case Difference::kAccessory:
      return changed;
    case Difference::kProportion:
      // Each by half of its range: what is seen, and no more.
      for (float& proportion : changed.proportions) {
        proportion = proportion < .5f ? proportion + .5f : proportion - .5f;
      }
      return changed;
    case Difference::kPattern:
      changed.pattern =
          static_cast<Pattern>(Other(static_cast<int>(identity.pattern), kPatterns, random));
      return changed;
    case Difference::kColour:
      // The colour of some other subject that goes with this one's second colour.
      for (uint32_t i = 0;; ++i) {
        const Identity other =
            DrawIdentity(identity.subject_class, kFirstSubject + index + 7919 * (i + 1));
        if (other.primary == identity.primary || other.primary == identity.secondary) continue;
        changed.primary = other.primary;
        changed.primary_rgb = other.primary_rgb;
        return changed;
      }
    case Difference::kInstance:
      return stranger(identity.subject_class);
    case Difference::kClass:
      return stranger(static_cast<SubjectClass>(
          Other(static_cast<int>(identity.subject_class), kClasses, random)));
  }
  return changed;
}

}  // namespace

const char* Name(Difference difference) { return kNames[static_cast<int>(difference)]; }

Pair DrawPair(uint32_t index) {
  const auto difference = static_cast<Difference>(index % kDifferences);
  Random random(index, kPairStream);
  const auto subject_class = static_cast<SubjectClass>(random.Below(kClasses));
  const Identity identity = DrawIdentity(subject_class, kFirstSubject + index);
  Pair pair{.difference = difference,
            .first = Seen(identity, random),
            .second = Seen(Changed(identity, difference, index, random), random)};
  if (difference == Difference::kAccessory) {
    pair.second.accessory = random.Chance(.5f) ? Accessory::kRedHat : Accessory::kBlackTopHat;
  }
  return pair;
}

}  // namespace likeness::mini
