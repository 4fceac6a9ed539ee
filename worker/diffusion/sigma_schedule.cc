#include "worker/diffusion/sigma_schedule.h"

#include <cmath>

#include "worker/base/error.h"

namespace likeness {
namespace {

constexpr double kRho = 7;          // 2206.00364, table 1
constexpr double kBetaShape = 0.6;  // 2407.12173, section 4: alpha and beta

// The cumulated distribution at x < 1/2, by the substitution s = x u^(1/alpha), which leaves
// something smooth for Gauss and Legendre: x^alpha / alpha int_0^1 (1 - x u^(1/alpha))^(beta - 1)
// du.
double CumulatedBeta(double x) {
  static const double whole =
      std::exp(2 * std::lgamma(kBetaShape) - std::lgamma(2 * kBetaShape));  // B(alpha, beta)
  constexpr int kPieces = 64;
  constexpr double kNode = 0.7745966692414834;  // sqrt(3/5)
  const auto density = [&](double u) {
    return std::pow(1 - x * std::pow(u, 1 / kBetaShape), kBetaShape - 1);
  };
  double sum = 0;
  for (int i = 0; i < kPieces; ++i) {
    const double middle = (i + 0.5) / kPieces, half = 0.5 / kPieces;
    sum += half *
           (5 * density(middle - kNode * half) + 8 * density(middle) +
            5 * density(middle + kNode * half)) /
           9;
  }
  return std::pow(x, kBetaShape) / kBetaShape * sum / whole;
}

double SigmaAt(SigmaSchedule schedule, double most, double least, double share) {
  switch (schedule) {
    case SigmaSchedule::kKarras: {
      const double from = std::pow(most, 1 / kRho), to = std::pow(least, 1 / kRho);
      return std::pow(from + share * (to - from), kRho);
    }
    case SigmaSchedule::kExponential:
      return std::exp(std::log(most) + share * (std::log(least) - std::log(most)));
    case SigmaSchedule::kBeta:
      return least + BetaQuantile(1 - share) * (most - least);
    case SigmaSchedule::kTimesteps:
      break;
  }
  throw Error(ErrorKind::kInternal, "timesteps are no schedule of sigmas");
}

}  // namespace

std::vector<double> SpreadSigmas(SigmaSchedule schedule, double most, double least, int count) {
  std::vector<double> sigmas;
  for (int k = 0; k < count; ++k) {
    const double share = count > 1 ? static_cast<double>(k) / (count - 1) : 0;
    sigmas.push_back(SigmaAt(schedule, most, least, share));
  }
  return sigmas;
}

double BetaQuantile(double p) {
  if (p <= 0 || p >= 1) return p <= 0 ? 0 : 1;
  if (p > 0.5) return 1 - BetaQuantile(1 - p);  // it is symmetric
  double low = 0, high = 0.5;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (CumulatedBeta(middle) < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace likeness
