#include "worker/jobs/safety_check.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "worker/jobs/judge_settings.h"
#include "worker/support/guard.h"
#include "worker/training/progress_meter.h"

namespace likeness {
namespace {

bool Objects(SafetyEvaluator& checker, const Image& image) {
  return checker.ConceptScores(image).gt(0).any().item<bool>();
}

}  // namespace

SafetyCheck::SafetyCheck(const std::vector<EvaluatorFiles>& found, WarmEvaluators& checkers,
                         JobEnvironment& environment)
    : checker_(FirstOf(found, EvaluatorKind::kSafetyChecker)),
      checkers_(checkers),
      environment_(environment) {
  if (checker_) checkers_.Check({*checker_});
}

void SafetyCheck::Require() const {
  if (checker_) return;
  RefuseMissing(
      "job.generate.safety_check needs a safety checker among the evaluators; this worker has "
      "none");
}

bool SafetyCheck::ObjectsTo(const Image& image) const {
  return checker_ && Objects(*checkers_.Get({*checker_})->safety_checker, image);
}

void SafetyCheck::Withhold(const std::vector<std::vector<Picture>*>& drawn, Phase phase,
                           Phases& phases) const {
  int64_t total = 0;
  for (const auto* pictures : drawn) total += std::ssize(*pictures);
  if (!checker_ || total == 0) return;
  const auto poll = [&] { ThrowIfStopped(environment_.Stop()); };
  const auto evaluators = checkers_.Get({*checker_}, poll);
  const ProgressMeter meter(phase, "pictures", 0, total);
  int64_t done = 0;
  for (auto* pictures : drawn) {
    for (Picture& picture : *pictures) {
      poll();
      if (Objects(*evaluators->safety_checker, picture.image)) {
        picture.image = {};
        environment_.Warn(
            absl::StrCat("a picture is withheld, the safety checker objects to it: \"",
                         picture.prompt, "\", seed ", picture.seed));
      }
      phases.Report(meter.After(++done));
    }
  }
}

}  // namespace likeness
