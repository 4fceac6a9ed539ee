#include "client/cli/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

#include "client/cli/plain_screen.h"
#include "client/cli/terminal_screen.h"

namespace likeness::client {
namespace {

constexpr int kUsualColumns = 80;

// Asked for at each line, because windows are resized.
int TerminalColumns() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsualColumns;
  return size.ws_col;
}

void WriteToStderr(absl::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) return;  // nobody reads: nothing to be done about it
    text.remove_prefix(written);
  }
}

bool IsSet(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

}  // namespace

std::unique_ptr<Screen> OpenScreen(bool terminal_only) {
  const char* term = std::getenv("TERM");
  const bool dumb = term != nullptr && absl::string_view(term) == "dumb";
  if (!isatty(STDERR_FILENO) || dumb) {
    if (terminal_only) return std::make_unique<PlainScreen>([](absl::string_view) {});
    return std::make_unique<PlainScreen>(WriteToStderr);
  }
  return std::make_unique<TerminalScreen>(TerminalScreen::Options{.write = WriteToStderr,
                                                                  .columns = TerminalColumns,
                                                                  .colour = !IsSet("NO_COLOR"),
                                                                  .animate = true});
}

}  // namespace likeness::client
