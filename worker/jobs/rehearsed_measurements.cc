#include "worker/jobs/rehearsed_measurements.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "common/judging.h"
#include "worker/jobs/judge_settings.h"

namespace likeness {

double RehearsedLoss(int64_t step, int64_t steps) {
  const double part = static_cast<double>(step) / static_cast<double>(std::max<int64_t>(steps, 1));
  return 0.09 + 0.06 * std::exp(-4 * part) + 0.004 * std::sin(static_cast<double>(step));
}

std::optional<LatestMeasured> RehearsedMeasurements(const v1::FineTuneSpec& spec,
                                                    const PromptWords& words, int64_t done) {
  const int64_t steps = spec.training().steps();
  const auto last = [&](int64_t every) { return every > 0 ? done / every * every : 0; };
  const int64_t preview = last(spec.previews().every_steps());
  const int64_t checkpoint = done == steps ? steps : last(spec.training().checkpoint_every_steps());
  LatestMeasured latest;
  if (HasValidationPhotos(spec)) {
    const bool at_checkpoints = PicksBestStep(spec) || PicksLowestValidationLoss(spec.training());
    const int64_t step = at_checkpoints ? checkpoint : done == steps ? steps : preview;
    latest.measured.validation_loss = RehearsedLoss(step, steps);
    latest.validation_loss_step = step;
  }
  if (PicksBestStep(spec) && checkpoint > 0) {
    latest.measured.subject_score = 0.7;
    latest.measured.prompt_score = 0.3;
    latest.score_step = checkpoint;
  } else if (spec.judge().enabled() && !PicksBestStep(spec) && preview > 0) {
    // As a worker does that has all evaluators.
    const auto& measures = spec.judge().measures();
    const auto judged = [&](v1::Measure measure) {
      return measures.empty() || Includes(measures, measure);
    };
    std::vector<std::string> prompts;
    for (const auto& prompt : spec.previews().prompts()) {
      prompts.push_back(FillPrompt(prompt, words));
    }
    const bool of_subject = judged(v1::MEASURE_DINO) || judged(v1::MEASURE_CLIP_I);
    if (of_subject && AnyNamesSubject(prompts, words)) latest.measured.subject_score = 0.7;
    if (judged(v1::MEASURE_CLIP_T)) latest.measured.prompt_score = 0.3;
    if (latest.measured.scored()) latest.score_step = preview;
  }
  if (!latest.measured.validation_loss && !latest.measured.scored()) return std::nullopt;
  return latest;
}

}  // namespace likeness
