// Colours that every drawing shares, and the fills of one identity.
#pragma once

#include "mini/canvas.h"
#include "mini/texture.h"
#include "mini/world.h"

namespace likeness::mini {

inline constexpr Rgb kInk{28, 28, 34};
inline constexpr Rgb kChalk{248, 248, 246};
inline constexpr Rgb kSteel{112, 117, 126};
inline constexpr Rgb kGlass{186, 226, 246};

inline Rgb Shaded(const Rgb& colour, float gain) {
  return {colour[0] * gain, colour[1] * gain, colour[2] * gain};
}

struct Palette {
  explicit Palette(const Identity& identity)
      : body(BodyTexture(identity)),
        accent(identity.secondary_rgb),
        shadow(Shaded(identity.primary_rgb, 0.68f)) {}

  Fill body;    // the primary colour with the pattern
  Fill accent;  // the secondary colour
  Fill shadow;  // the primary colour on the far side
};

}  // namespace likeness::mini
