#include "client/cli/job_view.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "client/cli/describe.h"
#include "client/cli/names.h"
#include "client/cli/text.h"
#include "common/job_phase.h"
#include "common/job_spec.h"
#include "common/rpc_error.h"
#include "common/used_spec.h"
#include "google/protobuf/util/time_util.h"

namespace likeness::client {
namespace {

// What stands at the left for a phase.
std::string LabelFor(v1::JobPhase phase) {
  if (phase == v1::JOB_PHASE_CLASS_IMAGES) return "class";
  return phase == v1::JOB_PHASE_SAMPLING ? "samples" : PhaseLabel(phase);
}

std::string Speed(double per_second, const char* unit) {
  if (per_second <= 0) return "";
  return absl::StrCat(absl::StrFormat(per_second < 10 ? "%.1f " : "%.0f ", per_second), unit);
}

// The latest that there is room for. What was measured before the first step says nothing of the
// training.
std::string Measured(const v1::TrainingMeasurements& latest) {
  if (latest.has_validation_loss() && latest.validation_loss_step() > 0)
    return absl::StrCat("val ", Figure(latest.validation_loss()));
  if (!latest.has_subject_score()) return "";
  return absl::StrCat("subject ", Figure(latest.subject_score()));
}

// 0: not known, or one.
int64_t PhotosPerStep(const v1::Job& job) {
  const v1::Training& training = FineTuneOf(job).training();
  const int64_t photos =
      int64_t{training.batch_size()} * std::max<int64_t>(1, training.gradient_accumulation_steps());
  return photos > 1 ? photos : 0;
}

// The class prompt as the server will fill it in.
std::string ClassPrompt(const v1::Job& job) {
  const auto& spec = FineTuneOf(job);
  const auto& prompt = spec.prior().class_prompt();
  return absl::StrReplaceAll(prompt.empty() ? "a {class}" : prompt,
                             {{"{class}", SubjectOf(spec).class_noun()}});
}

}  // namespace

ProgressLine LineFor(const v1::Progress& progress, int64_t photos_per_step) {
  ProgressLine line{.label = LabelFor(progress.phase()),
                    .done = progress.done(),
                    .total = progress.total(),
                    .bytes = progress.unit() == "bytes"};
  if (line.total == 0 && progress.phase() == v1::JOB_PHASE_PREPARING)
    line.text = "loading and encoding";
  if (progress.has_training()) {
    const double steps_per_second = progress.training().steps_per_second();
    line.figures = absl::StrCat("loss ", Figure(progress.training().loss()));
    line.measured = Measured(progress.measurements());
    line.speed = Speed(steps_per_second, "it/s");
    line.photos = Speed(steps_per_second * static_cast<double>(photos_per_step), "photos/s");
  }
  if (progress.has_remaining_duration()) {
    line.eta = absl::Nanoseconds(
        google::protobuf::util::TimeUtil::DurationToNanoseconds(progress.remaining_duration()));
  }
  return line;
}

std::string ProgressSummary(const v1::Job& job) {
  if (job.state() == v1::JOB_STATE_PENDING) return QueueText(job, absl::Now());
  if (job.state() != v1::JOB_STATE_RUNNING) return "";
  const auto line = LineFor(job.progress());
  return line.total > 0 ? absl::StrCat(line.label, " ", Percent(line), "%") : line.label;
}

void JobView::Apply(const v1::JobEvent& event, const std::string& preview_path) {
  if (connection_lost_) {
    connection_lost_ = false;
    screen_.Line(Mark::kDone, "server", "connected again");
  }
  const auto at = ToTime(event.time());
  switch (event.event_case()) {
    case v1::JobEvent::kSnapshot:
      return ApplyJob(event.snapshot(), at);
    case v1::JobEvent::kStateChange:
      return ApplyState(event.state_change(), at);
    case v1::JobEvent::kProgress:
      return ApplyProgress(event.progress(), at);
    case v1::JobEvent::kSample:
      return ShowSample(event.sample(), preview_path);
    case v1::JobEvent::kLog:
      return ShowLog(event.log());
    case v1::JobEvent::kCheckpoint:
    case v1::JobEvent::kBookmark:
    case v1::JobEvent::kUpdated:
    case v1::JobEvent::kDeleted:
    case v1::JobEvent::EVENT_NOT_SET:
      return;
  }
}

void JobView::ApplyJob(const v1::Job& job, absl::Time at) {
  job_ = job;
  ShowWarnings();
  switch (job.state()) {
    case v1::JOB_STATE_PENDING:
      return ShowWaiting();
    case v1::JOB_STATE_RUNNING:
    case v1::JOB_STATE_CANCELLING:
      ApplyProgress(job.progress(), at);
      phase_began_.reset();  // nobody was watching when it did
      return;
    default:
      return ShowEnd(at);
  }
}

void JobView::ApplyState(const v1::StateChange& change, absl::Time at) {
  const auto before = job_.state();
  if (change.has_job()) {
    job_ = change.job();
    ShowWarnings();
  }
  job_.set_state(change.to());
  switch (change.to()) {
    case v1::JOB_STATE_PENDING:
      if (before == v1::JOB_STATE_RUNNING) {
        phase_.Clear();
        screen_.Line(Mark::kWarning, absl::StrCat("attempt ", change.attempt()),
                     absl::StrCat(change.detail().empty() ? "interrupted" : change.detail(),
                                  "; the job waits for another worker"));
      }
      return ShowWaiting();
    case v1::JOB_STATE_RUNNING:
      job_.set_attempt(change.attempt());
      return EnterPhase(v1::JOB_PHASE_PREPARING, at);
    case v1::JOB_STATE_CANCELLING:
      return screen_.Line(Mark::kWarning, "cancelling", "the worker stops after its current step");
    default:
      return ShowEnd(at);
  }
}

void JobView::ApplyProgress(const v1::Progress& progress, absl::Time at) {
  if (progress.phase() == v1::JOB_PHASE_UNSPECIFIED || progress.phase() == v1::JOB_PHASE_DONE) {
    return;
  }
  if (progress.phase() == v1::JOB_PHASE_QUEUED) return ShowWaiting();
  if (progress.phase() != phase_.phase()) EnterPhase(progress.phase(), at);
  phase_ = progress;
  ShowMeasured(progress.measurements());
  screen_.Progress(LineFor(progress, PhotosPerStep(job_)));
}

void JobView::EnterPhase(v1::JobPhase phase, absl::Time at) {
  if (phase_.phase() == phase) return;
  LeavePhase(at);
  phase_.Clear();
  phase_.set_phase(phase);
  phase_began_ = at;
  screen_.Progress(LineFor(phase_));
}

void JobView::LeavePhase(absl::Time at) {
  screen_.ClearProgress();
  if (phase_.phase() != v1::JOB_PHASE_UNSPECIFIED && phase_.phase() != v1::JOB_PHASE_QUEUED) {
    screen_.Line(Mark::kDone, LabelFor(phase_.phase()), PhaseResult(at));
  }
  phase_.Clear();
}

// "300 of 300 steps · loss 0.043 · 31 s". Progress may be coalesced, so the last report seen can be
// short of the total.
std::string JobView::PhaseResult(absl::Time at) const {
  std::string result;
  if (phase_.unit() == "bytes" && phase_.total() > 0) {
    result = ByteSize(phase_.total());
  } else if (phase_.total() > 0) {
    result = absl::StrCat(phase_.total(), " of ", phase_.total(), " ", phase_.unit());
    if (phase_.phase() == v1::JOB_PHASE_CLASS_IMAGES) {
      absl::StrAppend(&result, " of \"", ClassPrompt(job_), "\"");
    }
    if (phase_.has_training()) {
      absl::StrAppend(&result, " · loss ", Figure(phase_.training().loss()));
    }
  }
  if (!phase_began_) return result.empty() ? "done" : result;
  return absl::StrCat(result, result.empty() ? "" : " · ", RoundTime(at - *phase_began_));
}

void JobView::ShowWaiting() {
  phase_.Clear();
  phase_.set_phase(v1::JOB_PHASE_QUEUED);
  ProgressLine line{.label = "waiting"};
  line.text = QueueText(job_, absl::Now());
  screen_.Progress(line);
}

void JobView::ShowWarnings() {
  for (const auto& warning : job_.warnings()) {
    if (!shown_warnings_.insert(warning).second) continue;
    screen_.Line(Mark::kWarning, "note", WithFileNames(warning, names_));
  }
}

// What is new of it. An attempt that goes on from a checkpoint measures what was measured before
// again, and finds the same.
void JobView::ShowMeasured(const v1::TrainingMeasurements& latest) {
  v1::TrainingMeasurements news = latest;
  const bool scored = measured_.has_subject_score() || measured_.has_prompt_score();
  if (measured_.has_validation_loss() &&
      news.validation_loss_step() <= measured_.validation_loss_step()) {
    news.clear_validation_loss();
    news.clear_validation_loss_step();
  }
  if (scored && news.score_step() <= measured_.score_step()) {
    news.clear_subject_score();
    news.clear_prompt_score();
    news.clear_score_step();
  }
  const std::string text = MeasurementsText(news);
  if (text.empty()) return;
  measured_.MergeFrom(news);
  screen_.Line(Mark::kNone, "measured", text);
}

void JobView::ShowSample(const v1::SampleEvent& sample, const std::string& preview_path) {
  // Of what is seen while pictures are drawn, the first is enough: the file is always the newest.
  if (!sample.has_output() && std::exchange(live_preview_shown_, true)) return;
  auto text = absl::StrCat("step ", sample.step(), " · \"", sample.prompt(), "\"");
  if (!preview_path.empty()) absl::StrAppend(&text, " -> ", preview_path);
  screen_.Line(Mark::kNone, "preview", text);
}

void JobView::ShowLog(const v1::LogLine& log) {
  const bool odd = log.severity() == v1::LOG_SEVERITY_WARNING;
  const bool bad = log.severity() == v1::LOG_SEVERITY_ERROR;
  // A warning often stands in the job too, and need not be read twice.
  if (odd && !shown_warnings_.insert(log.text()).second) return;
  screen_.Line(bad   ? Mark::kFailed
               : odd ? Mark::kWarning
                     : Mark::kNone,
               "note", WithFileNames(log.text(), names_));
}

void JobView::ConnectionLost(const std::string& why) {
  if (connection_lost_) return;
  connection_lost_ = true;
  screen_.ClearProgress();
  screen_.Line(Mark::kWarning, "server", absl::StrCat("not reachable, trying again (", why, ")"));
}

void JobView::ShowEnd(absl::Time at) {
  if (ended_) return;
  ended_ = true;
  if (job_.state() == v1::JOB_STATE_SUCCEEDED) return LeavePhase(at);
  screen_.ClearProgress();
  const auto where = phase_.total() > 0
                         ? absl::StrCat(" in ", LabelFor(phase_.phase()), ", ", phase_.done(),
                                        " of ", phase_.total(), " ", phase_.unit())
                         : "";
  if (job_.state() == v1::JOB_STATE_CANCELLED) {
    screen_.Line(Mark::kWarning, "cancelled", absl::StrCat(ShortName(job_.name()), where));
  } else {
    screen_.Line(Mark::kFailed, "failed",
                 absl::StrCat(FailureText(FromRpcStatus(job_.error()), names_),
                              where.empty() ? "" : absl::StrCat(" (", where.substr(1), ")")));
  }
}

}  // namespace likeness::client
