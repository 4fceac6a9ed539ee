// One line that says how far something has come:
//  ⠹ training    212/300 ━━━━━━━━━━━━╸───── 71%  loss 0.043  9.8 it/s  0:09 left
// Pure functions: the same input draws the same line.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace likeness::client {

// Columns of the label, the space after it included; and where text begins, after a space, a mark
// and a space.
inline constexpr int kLabelColumns = 12;
inline constexpr int kTextColumn = 3 + kLabelColumns;

struct ProgressLine {
  std::string label{};  // "training"
  std::string text{};   // shown instead of a bar while `total` is 0
  int64_t done = 0;
  int64_t total = 0;
  bool bytes = false;  // `done` and `total` count bytes
  // What does not fit is left out, beginning with the last of these.
  std::optional<absl::Duration> eta{};
  std::string figures{};   // "loss 0.043"
  std::string measured{};  // "val 0.061"
  std::string speed{};     // "9.8 it/s"
  std::string photos{};    // "39 photos/s"
};

// 0 to 100; 0 while the total is not known. 100 only when all is done.
int Percent(const ProgressLine& line);

struct BarStyle {
  int columns = 80;  // of the terminal; the line stays below, so that it never wraps
  bool colour = false;
  int spinner_frame = 0;
};
std::string RenderBar(const ProgressLine& line, const BarStyle& style);

// For logs and pipes: "   training    210/300 70%  loss 0.043  val 0.061  9.8 it/s  0:09 left".
std::string RenderPlain(const ProgressLine& line);

// Marks at the beginning of a line.
enum class Mark { kNone, kDone, kWarning, kFailed };

// " ✓ training    300 of 300 steps", broken to `columns` with a hanging indent; 0 columns: not
// broken.
std::string RenderLine(Mark mark, absl::string_view label, absl::string_view text, int columns,
                       bool colour);

}  // namespace likeness::client
