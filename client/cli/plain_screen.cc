#include "client/cli/plain_screen.h"

#include "absl/strings/str_cat.h"

namespace likeness::client {

void PlainScreen::Line(Mark mark, absl::string_view label, absl::string_view text) {
  absl::MutexLock lock(&mutex_);
  write_(absl::StrCat(RenderLine(mark, label, text, /*columns=*/0, /*colour=*/false), "\n"));
}

void PlainScreen::Text(absl::string_view text) {
  absl::MutexLock lock(&mutex_);
  write_(absl::StrCat(text, "\n"));
}

void PlainScreen::Progress(const ProgressLine& line) {
  if (line.total == 0 && line.text.empty()) return;  // a phase that has yet to count
  absl::MutexLock lock(&mutex_);
  const auto topic = absl::StrCat(line.label, "\n", line.total > 0 ? "" : line.text);
  const int tenth = Percent(line) / 10;
  if (topic == last_topic_ && tenth <= last_tenth_) return;
  // The end of a phase gets a line of its own, with a mark.
  if (tenth == 10) return;
  last_topic_ = topic;
  last_tenth_ = tenth;
  write_(absl::StrCat(RenderPlain(line), "\n"));
}

}  // namespace likeness::client
