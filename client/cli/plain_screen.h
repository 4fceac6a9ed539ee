// A screen that only ever adds lines: for logs and pipes.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "client/cli/screen.h"

namespace likeness::client {

// A moving line is written when its label is new, when its text is, and then at most once per tenth
// of the way.
class PlainScreen : public Screen {
 public:
  explicit PlainScreen(std::function<void(absl::string_view)> write) : write_(std::move(write)) {}

  void Line(Mark mark, absl::string_view label, absl::string_view text) override;
  void Text(absl::string_view text) override;
  void Progress(const ProgressLine& line) override;
  void ClearProgress() override {}

 private:
  const std::function<void(absl::string_view)> write_;
  absl::Mutex mutex_;
  std::string last_topic_ ABSL_GUARDED_BY(mutex_);  // label and text of the last moving line
  int last_tenth_ ABSL_GUARDED_BY(mutex_) = -1;
};

}  // namespace likeness::client
