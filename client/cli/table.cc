#include "client/cli/table.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/cli/text.h"

namespace likeness::client {
namespace {

constexpr int kBetween = 2;
constexpr int kNarrowest = 10;

// Takes from the widest column what the line is too long by.
void FitWidest(int columns, std::vector<int>& widths) {
  const int beyond = std::accumulate(widths.begin(), widths.end(), -kBetween - columns) +
                     kBetween * static_cast<int>(widths.size());
  const auto widest = std::max_element(widths.begin(), widths.end());
  if (widest == widths.end() || beyond <= 0) return;
  *widest = std::max(std::min(kNarrowest, *widest), *widest - beyond);
}

}  // namespace

std::string RenderTable(const std::vector<std::vector<std::string>>& rows, int columns) {
  std::vector<int> widths;
  return RenderTable(rows, columns, widths);
}

std::string RenderTable(const std::vector<std::vector<std::string>>& rows, int columns,
                        std::vector<int>& widths) {
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], DisplayWidth(Printable(row[i])));
    }
  }
  if (columns > 0) FitWidest(columns, widths);
  std::string table;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&line,
                      PadRight(Truncate(Printable(row[i]), widths[i]), widths[i] + kBetween));
    }
    line = std::string(absl::StripTrailingAsciiWhitespace(line));
    absl::StrAppend(&table, table.empty() ? "" : "\n", columns ? Truncate(line, columns) : line);
  }
  return table;
}

int TableColumns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

}  // namespace likeness::client
