#include "client/cli/terminal_screen.h"

#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock.h"

namespace likeness::client {
namespace {

constexpr absl::Duration kFrameTime = absl::Milliseconds(100);
constexpr char kEraseLine[] = "\r\x1b[K";
constexpr char kEraseRest[] = "\x1b[K";

}  // namespace

TerminalScreen::TerminalScreen(Options options) : options_(std::move(options)) {
  if (options_.animate) animator_ = std::thread([this] { Animate(); });
}

TerminalScreen::~TerminalScreen() {
  ClearProgress();
  {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
  }
  if (animator_.joinable()) animator_.join();
}

void TerminalScreen::Line(Mark mark, absl::string_view label, absl::string_view text) {
  absl::MutexLock lock(&mutex_);
  Write(absl::StrCat(RenderLine(mark, label, text, options_.columns(), options_.colour), "\n"));
}

void TerminalScreen::Text(absl::string_view text) {
  absl::MutexLock lock(&mutex_);
  Write(absl::StrCat(text, "\n"));
}

void TerminalScreen::Progress(const ProgressLine& line) {
  absl::MutexLock lock(&mutex_);
  progress_ = line;
  reported_ = SteadyNow();
  elapsed_ = absl::ZeroDuration();
  options_.write(Bottom());
}

void TerminalScreen::ClearProgress() {
  absl::MutexLock lock(&mutex_);
  if (!progress_) return;
  progress_.reset();
  options_.write(kEraseLine);
}

void TerminalScreen::Tick(absl::Duration elapsed) {
  absl::MutexLock lock(&mutex_);
  if (!progress_) return;
  elapsed_ = elapsed;
  ++frame_;
  options_.write(Bottom());
}

// Lines that stay push the moving one down.
void TerminalScreen::Write(absl::string_view lines) {
  options_.write(absl::StrCat(progress_ ? kEraseLine : "", lines, progress_ ? Bottom() : ""));
}

std::string TerminalScreen::Bottom() const {
  ProgressLine line = *progress_;
  if (line.eta) line.eta = std::max(*line.eta - elapsed_, absl::ZeroDuration());
  return absl::StrCat("\r",
                      RenderBar(line, {.columns = options_.columns(),
                                       .colour = options_.colour,
                                       .spinner_frame = frame_}),
                      kEraseRest);
}

void TerminalScreen::Animate() {
  // Signals are for other threads: this one may be older than the one that waits for Ctrl-C.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  while (true) {
    absl::Time reported;
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&closing_), kFrameTime)) return;
      reported = reported_;
    }
    Tick(SteadyNow() - reported);
  }
}

}  // namespace likeness::client
