// Where progress is shown: a terminal, where a line at the bottom moves, or a pipe or log file,
// which gets plain lines.
#pragma once

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "client/cli/progress_line.h"

namespace likeness::client {

// Thread-safe.
class Screen {
 public:
  virtual ~Screen() = default;

  // A line that stays.
  virtual void Line(Mark mark, absl::string_view label, absl::string_view text) = 0;
  // Text that stays and is not laid out: a hint, an empty line.
  virtual void Text(absl::string_view text) = 0;
  // The line that moves; replaces the one before.
  virtual void Progress(const ProgressLine& line) = 0;
  // The line that moves goes away.
  virtual void ClearProgress() = 0;
};

// Writes to stderr: a terminal with a moving line if it is one and TERM is not "dumb", else plain
// lines. Colours unless NO_COLOR is set. `terminal_only`: shows nothing where stderr is no
// terminal, but something else may read it.
std::unique_ptr<Screen> OpenScreen(bool terminal_only = false);

}  // namespace likeness::client
