#include "worker/training/measurements.h"

#include <cmath>

namespace likeness {

namespace {

std::optional<double> IfFinite(std::optional<double> value) {
  return value && std::isfinite(*value) ? value : std::nullopt;
}

}  // namespace

void AddMeasured(int64_t step, const Measured& values, std::vector<MeasuredStep>& steps) {
  const Measured measured{.validation_loss = IfFinite(values.validation_loss),
                          .subject_score = IfFinite(values.subject_score),
                          .prompt_score = IfFinite(values.prompt_score)};
  if (!measured.validation_loss && !measured.scored()) return;
  if (steps.empty() || steps.back().step != step) steps.push_back({.step = step});
  Measured& known = steps.back().measured;
  if (measured.validation_loss) known.validation_loss = measured.validation_loss;
  if (measured.scored()) {
    known.subject_score = measured.subject_score;
    known.prompt_score = measured.prompt_score;
  }
}

std::optional<LatestMeasured> LatestOf(const std::vector<MeasuredStep>& steps) {
  if (steps.empty()) return std::nullopt;
  LatestMeasured latest;
  for (const auto& [step, measured] : steps) {
    if (measured.validation_loss) {
      latest.measured.validation_loss = measured.validation_loss;
      latest.validation_loss_step = step;
    }
    if (measured.scored()) {
      latest.measured.subject_score = measured.subject_score;
      latest.measured.prompt_score = measured.prompt_score;
      latest.score_step = step;
    }
  }
  return latest;
}

}  // namespace likeness
