// What is measured of the weights in training, beside the loss of each step.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace likeness {

// At one step. What was not measured is empty.
struct Measured {
  std::optional<double> validation_loss = {};  // of ValidationLoss
  // Of pictures drawn with the weights: how well the subject is recognised, and prompts obeyed.
  std::optional<double> subject_score = {};
  std::optional<double> prompt_score = {};

  bool scored() const { return subject_score || prompt_score; }
};

struct MeasuredStep {
  int64_t step = 0;  // optimizer steps done
  Measured measured = {};
};

// The latest of each, and when it was measured: scores are of the same pictures.
struct LatestMeasured {
  Measured measured = {};
  int64_t validation_loss_step = 0;
  int64_t score_step = 0;
};

// Adds what was measured after `step` steps; nothing where nothing was, and no value that is not
// finite. Of the last step, it joins what is known already. Steps never fall.
void AddMeasured(int64_t step, const Measured& values, std::vector<MeasuredStep>& steps);

// Nothing where nothing has been measured.
std::optional<LatestMeasured> LatestOf(const std::vector<MeasuredStep>& steps);

}  // namespace likeness
