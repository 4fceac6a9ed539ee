#include "worker/jobs/checkpoint_keeper.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "worker/base/error.h"
#include "worker/support/guard.h"
#include "worker/support/resident_memory.h"
#include "worker/training/checkpoint_contents.h"

namespace likeness {

namespace fs = std::filesystem;

namespace {

constexpr double kMostOfTraining = 0.03;
// Until one has been measured.
constexpr double kAssumedBytesPerSecond = 1e9;
// Of what is available, so that the system keeps room for the file's pages.
constexpr double kMostOfMemory = 0.5;

double SecondsNow() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

CheckpointPolicy CheckpointPolicyOf(const v1::Training& asked, bool trains_on_cpu) {
  // A budget of the host's memory has no room for a second copy of what is trained.
  const bool never = trains_on_cpu && asked.has_memory_budget_bytes();
  return {.most_share = asked.has_checkpoint_every_steps() ? 0 : kMostOfTraining,
          .writing_slows_training = trains_on_cpu,
          .has_room = [never](int64_t bytes) {
            return !never && static_cast<double>(bytes) <= kMostOfMemory * ReadAvailableMemory();
          }};
}

CheckpointKeeper::CheckpointKeeper(JobEnvironment& environment, CheckpointPolicy policy)
    : environment_(environment), policy_(std::move(policy)) {
  if (!policy_.clock) policy_.clock = SecondsNow;
}

CheckpointKeeper::~CheckpointKeeper() {
  (void)Guard([&] { Collect(); });
}

void CheckpointKeeper::Begin() {
  if (begun_ < 0) begun_ = policy_.clock();
}

bool CheckpointKeeper::Save(int64_t step, CheckpointReason reason,
                            const CheckpointContents& contents, const std::string& host_notes) {
  Look();
  const bool may_be_left_out = reason == CheckpointReason::kInterval && policy_.most_share > 0;
  if (may_be_left_out && (writing() || !IsDue(contents.bytes()))) return false;

  const double begun = policy_.clock();
  Collect();
  if (kept_step_ == step) return true;
  spent_before_ = spent_;
  const fs::path file =
      environment_.scratch() / absl::StrFormat("checkpoint-%06d-%d.safetensors", step, saves_++);
  const bool aside = reason != CheckpointReason::kStop &&
                     (!policy_.has_room || policy_.has_room(contents.bytes()));
  const absl::Status status = Guard([&] {
    if (!aside) {
      ThrowIfError(Write(step, file, contents, host_notes).status);
      kept_step_ = step;
      return;
    }
    writing_ = std::async(
        std::launch::async, [this, step, file, host_notes, copy = contents.Copy()]() mutable {
          const CheckpointContents own = std::move(copy);  // released with this call
          return Write(step, file, own, host_notes);
        });
  });
  Warn(status);
  const double took = policy_.clock() - begun;
  waited_ += took;
  spent_ += took;
  measured_ = true;
  return status.ok();
}

CheckpointKeeper::Written CheckpointKeeper::Write(int64_t step, const fs::path& file,
                                                  const CheckpointContents& contents,
                                                  const std::string& host_notes) {
  const double begun = policy_.clock();
  absl::Status status = Guard([&] {
    WriteCheckpoint(file, host_notes, contents, [this] {
      if (environment_.Stop() == StopReason::kCancel) ThrowIfStopped(StopReason::kCancel);
    });
    environment_.SaveCheckpoint(step, file);
  });
  if (!status.ok()) {
    std::error_code ignored;
    fs::remove(file, ignored);
  }
  return {step, std::move(status), policy_.clock() - begun};
}

void CheckpointKeeper::Look() {
  if (!writing()) Collect();
}

bool CheckpointKeeper::writing() const {
  return writing_.valid() &&
         writing_.wait_for(std::chrono::seconds(0)) != std::future_status::ready;
}

void CheckpointKeeper::Collect() {
  if (!writing_.valid()) return;
  const Written written = writing_.get();
  if (policy_.writing_slows_training) spent_ += written.seconds;
  if (written.status.ok()) kept_step_ = written.step;
  Warn(written.status);
}

void CheckpointKeeper::Warn(const absl::Status& status) {
  // It only saves work, should the worker be lost.
  if (status.ok() || absl::IsCancelled(status)) return;
  environment_.Warn(absl::StrCat("A checkpoint could not be written: ", status.message()));
}

// Whether the share allows this one, and the last, which is always kept.
bool CheckpointKeeper::IsDue(int64_t bytes) const {
  if (begun_ < 0) return true;
  const double each =
      measured_ ? spent_ - spent_before_ : static_cast<double>(bytes) / kAssumedBytesPerSecond;
  return spent_ + 2 * each <= policy_.most_share * (policy_.clock() - begun_);
}

}  // namespace likeness
