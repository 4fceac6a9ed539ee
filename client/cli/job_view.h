// What a person sees of a job while it runs: events in, lines on a screen out.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "client/cli/refusal.h"
#include "client/cli/screen.h"
#include "likeness/v1/event.pb.h"

namespace likeness::client {

// A job's progress as one moving line; without counts while they are not known. `photos_per_step`:
// of training; 0: not known.
ProgressLine LineFor(const v1::Progress& progress, int64_t photos_per_step = 0);

// "71%" of the phase, or what else there is to say: "training 71%", "2 ahead".
std::string ProgressSummary(const v1::Job& job);

class JobView {
 public:
  // `names`: files of this machine that messages may speak of.
  explicit JobView(Screen& screen, RefusalNames names = {})
      : screen_(screen), names_(std::move(names)) {}

  // Feed it every event in order; repeated ones do no harm. A sample's file is shown if
  // `preview_path` is not empty.
  void Apply(const v1::JobEvent& event, const std::string& preview_path = "");

  // For streams that carry jobs and progress without events.
  void ApplyJob(const v1::Job& job, absl::Time at);
  void ApplyProgress(const v1::Progress& progress, absl::Time at);

  // The connection broke; it will be tried again.
  void ConnectionLost(const std::string& why);

  v1::JobState state() const { return job_.state(); }
  // The latest that is known of the job.
  const v1::Job& job() const { return job_; }

 private:
  void ApplyState(const v1::StateChange& change, absl::Time at);
  void ShowSample(const v1::SampleEvent& sample, const std::string& preview_path);
  void ShowLog(const v1::LogLine& log);
  void ShowWaiting();
  void ShowWarnings();
  void ShowMeasured(const v1::TrainingMeasurements& latest);
  void EnterPhase(v1::JobPhase phase, absl::Time at);
  void LeavePhase(absl::Time at);  // its work is done
  void ShowEnd(absl::Time at);
  std::string PhaseResult(absl::Time at) const;

  Screen& screen_;
  const RefusalNames names_;
  v1::Job job_;
  v1::Progress phase_;                     // the latest of the current phase
  std::optional<absl::Time> phase_began_;  // unknown if it began before the watch did
  std::set<std::string> shown_warnings_;
  v1::TrainingMeasurements measured_;  // what was shown last of them
  bool connection_lost_ = false;
  bool live_preview_shown_ = false;
  bool ended_ = false;
};

}  // namespace likeness::client
