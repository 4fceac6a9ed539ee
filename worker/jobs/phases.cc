#include "worker/jobs/phases.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "common/prior.h"
#include "worker/training/phase.h"

namespace likeness {
namespace {

// As clients see it.
v1::JobPhase ToJobPhase(Phase phase) {
  switch (phase) {
    case Phase::kPreparing:
      return v1::JOB_PHASE_PREPARING;
    case Phase::kClassPictures:
      return v1::JOB_PHASE_CLASS_IMAGES;
    case Phase::kTraining:
      return v1::JOB_PHASE_TRAINING;
    case Phase::kSaving:
      return v1::JOB_PHASE_SAVING;
    case Phase::kSamples:
      return v1::JOB_PHASE_SAMPLING;
    case Phase::kJudging:
      return v1::JOB_PHASE_JUDGING;
    case Phase::kUploading:
      return v1::JOB_PHASE_UPLOADING;
  }
  return v1::JOB_PHASE_UNSPECIFIED;
}

v1::TrainingMeasurements ToProto(const LatestMeasured& latest) {
  v1::TrainingMeasurements message;
  const auto& [validation_loss, subject_score, prompt_score] = latest.measured;
  if (validation_loss) message.set_validation_loss(*validation_loss);
  message.set_validation_loss_step(latest.validation_loss_step);
  if (subject_score) message.set_subject_score(*subject_score);
  if (prompt_score) message.set_prompt_score(*prompt_score);
  message.set_score_step(latest.score_step);
  return message;
}

}  // namespace

std::vector<Phase> PhasesOf(const v1::FineTuneSpec& resolved) {
  std::vector<Phase> phases = {Phase::kPreparing};
  if (DrawsClassImages(resolved.prior())) phases.push_back(Phase::kClassPictures);
  phases.push_back(Phase::kTraining);
  phases.push_back(Phase::kSaving);
  if (resolved.samples().prompts_size() > 0) phases.push_back(Phase::kSamples);
  if (resolved.judge().enabled()) phases.push_back(Phase::kJudging);
  phases.push_back(Phase::kUploading);
  return phases;
}

Phases::Phases(JobEnvironment& environment, std::vector<Phase> phases)
    : environment_(environment), phases_(std::move(phases)), current_(phases_.front()) {
  Report({.phase = current_});
}

void Phases::Report(const Progress& progress) {
  Enter(progress.phase);
  if (progress.phase == Phase::kClassPictures) {
    class_images_ = true;
    class_images_drawn_ = progress.drawn.value_or(class_images_drawn_);
  }
  v1::Progress message;
  message.set_phase(ToJobPhase(progress.phase));
  message.set_done(progress.done);
  message.set_total(progress.total);
  message.set_unit(progress.unit == "pictures" ? "images" : progress.unit);
  for (const Phase phase : phases_) message.add_phases(ToJobPhase(phase));
  if (progress.eta_seconds) {
    absl::Duration left = absl::Seconds(*progress.eta_seconds);
    message.mutable_remaining_duration()->set_seconds(
        absl::IDivDuration(left, absl::Seconds(1), &left));
    message.mutable_remaining_duration()->set_nanos(
        static_cast<int32_t>(absl::ToInt64Nanoseconds(left)));
  }
  if (progress.loss) {
    auto& training = *message.mutable_training();
    training.set_step(progress.done);
    training.set_loss(*progress.loss);
    training.set_learning_rate(progress.learning_rate.value_or(0));
    training.set_grad_norm(progress.grad_norm.value_or(0));
    training.set_steps_per_second(progress.units_per_second.value_or(0));
  }
  if (progress.measured) measurements_ = ToProto(*progress.measured);
  if (measurements_) *message.mutable_measurements() = *measurements_;
  environment_.Report(message);
}

void Phases::GoOnFrom(const std::map<std::string, double>& measured) { before_ = measured; }

std::map<std::string, double> Phases::Measurements() {
  Enter(current_);
  std::map<std::string, double> measurements = seconds_;
  if (class_images_) {
    measurements["class_images_drawn"] = static_cast<double>(class_images_drawn_);
  }
  for (const auto& [name, value] : before_) measurements[name] += value;
  return measurements;
}

void Phases::Enter(Phase phase) {
  const auto now = Clock::now();
  const std::string name = absl::StrReplaceAll(PhaseName(current_), {{" ", "_"}});
  seconds_[absl::StrCat(name, "_seconds")] += std::chrono::duration<double>(now - entered_).count();
  current_ = phase;
  entered_ = now;
}

}  // namespace likeness
