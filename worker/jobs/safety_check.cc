#include "worker/jobs/safety_check.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "worker/jobs/judge_settings.h"
#include "worker/support/guard.h"
#include "worker/training/progress_meter.h"

namespace likeness {
namespace {

std::vector<EvaluatorFiles> SafetyCheckerOf(const std::vector<EvaluatorFiles>& found) {
  const auto checker = FirstOf(found, EvaluatorKind::kSafetyChecker);
  if (!checker) {
    RefuseMissing(
        "job.generate.safety_check needs a safety checker among the evaluators; this worker has "
        "none");
  }
  return {*checker};
}

}  // namespace

void CheckSafetyChecker(const std::vector<EvaluatorFiles>& found, WarmEvaluators& checkers) {
  checkers.Check(SafetyCheckerOf(found));
}

void WithholdUnsafe(const std::vector<EvaluatorFiles>& found, WarmEvaluators& checkers,
                    JobEnvironment& environment, Phases& phases, std::vector<Picture>& pictures) {
  phases.Report({.phase = Phase::kJudging, .unit = "pictures"});
  const auto poll = [&] { ThrowIfStopped(environment.Stop()); };
  const auto evaluators = checkers.Get(SafetyCheckerOf(found), poll);
  const ProgressMeter meter(Phase::kJudging, "pictures", 0, std::ssize(pictures));
  int64_t done = 0;
  for (auto& picture : pictures) {
    poll();
    const auto scores = evaluators->safety_checker->ConceptScores(picture.image);
    if (scores.gt(0).any().item<bool>()) {
      picture.image = {};
      environment.Warn(absl::StrCat("a picture is withheld, the safety checker objects to it: \"",
                                    picture.prompt, "\", seed ", picture.seed));
    }
    phases.Report(meter.After(++done));
  }
}

}  // namespace likeness
