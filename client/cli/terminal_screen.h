// A screen on a terminal: lines that stay scroll up, one line at the bottom is drawn again and
// again.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/cli/screen.h"

namespace likeness::client {

class TerminalScreen : public Screen {
 public:
  struct Options {
    std::function<void(absl::string_view)> write;
    std::function<int()> columns;
    bool colour = true;
    bool animate =
        false;  // turn the spinner and count the time down between reports, ten times a second
  };
  explicit TerminalScreen(Options options);
  ~TerminalScreen() override;

  void Line(Mark mark, absl::string_view label, absl::string_view text) override;
  void Text(absl::string_view text) override;
  void Progress(const ProgressLine& line) override;
  void ClearProgress() override;

  // Draws the moving line as it looks `elapsed` after it was reported, one frame on.
  void Tick(absl::Duration elapsed);

 private:
  void Animate();
  void Write(absl::string_view lines) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string Bottom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  absl::Mutex mutex_;
  std::optional<ProgressLine> progress_ ABSL_GUARDED_BY(mutex_);
  absl::Time reported_ ABSL_GUARDED_BY(mutex_);
  absl::Duration elapsed_ ABSL_GUARDED_BY(mutex_);
  int frame_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread animator_;
};

}  // namespace likeness::client
