#include "worker/training/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "worker/base/error.h"

namespace likeness {
namespace {

struct LrDecayRow {
  LrDecay decay;
  const char* name;
  // The factor when `done` of the steps after the warm-up are done, from 0 to 1.
  double (*factor)(const LrScheduleOptions& options, double done);
};

double HalfCosine(double done) { return 0.5 * (1 + std::cos(std::numbers::pi * done)); }

constexpr LrDecayRow kLrDecays[] = {
    {LrDecay::kConstant, "constant", [](const LrScheduleOptions&, double) { return 1.0; }},
    {LrDecay::kCosine, "cosine",
     [](const LrScheduleOptions&, double done) { return HalfCosine(done); }},
    {LrDecay::kLinear, "linear", [](const LrScheduleOptions&, double done) { return 1 - done; }},
    {LrDecay::kPolynomial, "polynomial",
     [](const LrScheduleOptions& options, double done) {
       const double end = kPolynomialEnd / options.learning_rate;
       return (1 - end) * (1 - done) + end;
     }},
    {LrDecay::kCosineWithRestarts, "cosine_with_restarts",
     [](const LrScheduleOptions& options, double done) {
       if (done >= 1) return 0.0;
       return HalfCosine(std::fmod(static_cast<double>(options.cycles) * done, 1.0));
     }},
};

const LrDecayRow& RowOf(LrDecay decay) {
  return *std::find_if(std::begin(kLrDecays), std::end(kLrDecays),
                       [&](const LrDecayRow& row) { return row.decay == decay; });
}

}  // namespace

double LrFactor(const LrScheduleOptions& options, int64_t step) {
  if (step < options.warmup_steps) return static_cast<double>(step) / options.warmup_steps;
  const double decaying = std::max<int64_t>(1, options.total_steps - options.warmup_steps);
  return RowOf(options.decay)
      .factor(options, std::min(1.0, (step - options.warmup_steps) / decaying));
}

LrDecay ParseLrDecay(const std::string& name) {
  std::string known;
  for (const LrDecayRow& row : kLrDecays) {
    if (name == row.name) return row.decay;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw Error(ErrorKind::kInvalidArgument,
              "learning-rate schedule \"" + name + "\" is not known; " + known + " are");
}

const char* LrDecayName(LrDecay decay) { return RowOf(decay).name; }

}  // namespace likeness
