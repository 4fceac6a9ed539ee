// Pictures that are not to be shown (GenerateSpec.safety_check).
#pragma once

#include <vector>

#include "worker/evaluation/evaluator_files.h"
#include "worker/evaluation/warm_evaluators.h"
#include "worker/jobs/job_environment.h"
#include "worker/jobs/phases.h"
#include "worker/jobs/pictures.h"

namespace likeness {

// Throws StatusError (FAILED_PRECONDITION, EVALUATOR_MISSING) where there is no safety checker,
// Error where it cannot be loaded: before anything is drawn.
void CheckSafetyChecker(const std::vector<EvaluatorFiles>& found, WarmEvaluators& checkers);

// Phase kJudging. Takes the pixels from the pictures that the safety checker objects to; a warning
// of the job says which.
void WithholdUnsafe(const std::vector<EvaluatorFiles>& found, WarmEvaluators& checkers,
                    JobEnvironment& environment, Phases& phases, std::vector<Picture>& pictures);

}  // namespace likeness
