// Where a latent stands between noise and picture.
#pragma once

#include <cmath>

namespace likeness {

// The model, asked at timestep t, sees latents x = sqrt(a) x_0 + sqrt(1 - a) eps. That is the scale
// of the training's process (Ho et al., 2006.11239); Karras et al. (2206.00364) write the same
// latents as x / sqrt(a) = x_0 + sigma eps.
struct Level {
  double t = 0;  // a timestep of the training's schedule, whole or between two
  double a = 1;  // from 0 (nothing but noise) to 1 (clean)

  double signal() const { return std::sqrt(a); }
  double noise() const { return std::sqrt(1 - a); }
  double sigma() const { return std::sqrt((1 - a) / a); }
  // lambda of Lu et al., 2211.01095: half the logarithm of signal over noise.
  double half_log_snr() const { return 0.5 * std::log(a / (1 - a)); }
};

// a where x / sqrt(a) = x_0 + sigma eps.
inline double LevelOfSigma(double sigma) { return 1 / (1 + sigma * sigma); }

}  // namespace likeness
