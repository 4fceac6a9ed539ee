// The work that a job makes, phase by phase, and how long units of it take: measured on jobs that
// succeeded, told of jobs to come.
//
// The time of a phase is taken as a sum over what it does, each at its own rate: so much for a step
// of a picture, for a finished picture, and for starting at all. The rates are those that fit what
// was measured best (least squares of relative errors; none is negative), where older jobs count
// less. Nothing here knows a store.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "likeness/v1/job.pb.h"

namespace likeness::server {

// How much of each thing: once, and two more that depend on the phase.
using Amounts = std::array<double, 3>;

// What is measured together, of one base model, method and device.
struct WorkKind {
  v1::JobPhase phase = v1::JOB_PHASE_UNSPECIFIED;  // unspecified: between phases
  std::string variant;  // the sampler, or how is trained; other variants take other times
  int64_t pixels = 0;   // of a picture, where a job says its size

  auto operator<=>(const WorkKind&) const = default;
};

struct Work {
  WorkKind kind;
  Amounts amounts;
};

// The work of the phases of a job with these settings, all of them said. `class_images_to_draw`:
// those that the worker does not have yet.
std::vector<Work> WorkOf(const v1::ResolvedSpec& settings, int64_t class_images_to_draw);

// What class pictures depend on, but for the base model and their number; of fine-tunes that draw
// them.
std::optional<std::string> ClassImagesOf(const v1::ResolvedSpec& settings);

// How many of them a fine-tune has: of each class of its subjects as many.
int64_t CountOfClassImages(const v1::FineTuneSpec& spec);

// Least squares of one kind of work.
class Rates {
 public:
  void Measure(const Amounts& amounts, double seconds);
  double Seconds(const Amounts& amounts) const;  // not negative
  int64_t runs() const { return runs_; }

  std::string ToText() const;
  static std::optional<Rates> FromText(const std::string& text);

 private:
  std::array<double, 9> products_ = {};  // sums of amount i times amount j, 3 by 3
  std::array<double, 3> seconds_ = {};   // sums of amount i times seconds
  double weight_ = 0;
  int64_t runs_ = 0;
};

// What was measured on one device with one base model and method.
struct DeviceRates {
  std::string device;
  absl::Time measured = absl::InfinitePast();  // last
  std::map<WorkKind, Rates> rates;
  std::map<std::string, int64_t> class_images;  // by ClassImagesOf: as many lie there
};

// Nothing if a phase was never measured that may take long.
std::optional<v1::WorkEstimate> EstimateWork(const v1::ResolvedSpec& settings,
                                             const DeviceRates& measured);

// The seconds of phases as workers report them among a job's metrics, for each kind of work in
// `work`; and what is left of `worker_time` as the time between phases. Empty if some are missing.
std::vector<double> MeasuredSeconds(const std::vector<Work>& work, const v1::Job& job,
                                    absl::Duration worker_time);

}  // namespace likeness::server
