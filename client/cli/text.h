// Text for people: widths, lengths of time, sizes, figures.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace likeness::client {

// Columns that UTF-8 `text` takes on a terminal: 2 for East Asian wide characters and emoji, 0 for
// combining marks.
int DisplayWidth(absl::string_view text);

// `text` with spaces up to `columns`.
std::string PadRight(absl::string_view text, int columns);
std::string PadLeft(absl::string_view text, int columns);

// At most `columns` columns of `text`; what was cut shows as "…".
std::string Truncate(absl::string_view text, int columns);

// Control characters and broken UTF-8 become "?": what a server sends must not steer the terminal.
std::string Printable(absl::string_view text);

// Breaks `text` at spaces so that no line passes `columns`. The first line is taken to begin in
// column `indent`, after something else; the others get as many spaces. A longer word is left
// whole: a path should stay fit for copying.
std::string Wrap(absl::string_view text, int columns, int indent);

// "0:09", "12:03", "1:02:03": a clock, for what changes.
std::string ClockTime(absl::Duration duration);

// "4 s", "3 min", "2 h", "5 days": one unit, for what is told once.
std::string RoundTime(absl::Duration duration);

// "512 B", "4.1 kB", "18.2 MB", "421 MB": decimal units.
std::string ByteSize(int64_t bytes);

// Three significant digits, "0.0431", "9.82", "120", "5e-06"; whole from 1,000 on: "12,345".
// "-" for what is not finite.
std::string Figure(double value);

// "1 photo", "4 photos".
std::string Count(int64_t count, absl::string_view noun);

// Flags of the form KEY=VALUE, by key. INVALID_ARGUMENT: one is not, or a key is there twice.
absl::StatusOr<std::map<std::string, std::string>> ParseLabels(
    absl::string_view flag, const std::vector<std::string>& said);

}  // namespace likeness::client
