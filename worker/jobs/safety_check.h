// Pictures that are not to be shown: those that the worker's safety checker objects to.
#pragma once

#include <optional>
#include <vector>

#include "worker/base/image.h"
#include "worker/evaluation/evaluator_files.h"
#include "worker/evaluation/warm_evaluators.h"
#include "worker/jobs/job_environment.h"
#include "worker/jobs/phases.h"
#include "worker/jobs/pictures.h"

namespace likeness {

// Objects to nothing where the worker has no safety checker. What it is given outlives it.
class SafetyCheck {
 public:
  // Throws Error where the checker cannot be loaded: before anything is drawn.
  SafetyCheck(const std::vector<EvaluatorFiles>& found, WarmEvaluators& checkers,
              JobEnvironment& environment);

  // Throws StatusError (FAILED_PRECONDITION, EVALUATOR_MISSING) where there is no safety checker.
  void Require() const;

  bool ObjectsTo(const Image& image) const;

  // Takes the pixels from those of all these pictures that the checker objects to; a warning of the
  // job says which. Reports in `phase` how many are looked at.
  void Withhold(const std::vector<std::vector<Picture>*>& drawn, Phase phase, Phases& phases) const;

 private:
  std::optional<EvaluatorFiles> checker_;
  WarmEvaluators& checkers_;
  JobEnvironment& environment_;
};

}  // namespace likeness
