#include "client/cli/progress_line.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "client/cli/text.h"

namespace likeness::client {
namespace {

constexpr std::array<const char*, 10> kSpinner = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
constexpr int kShortestBar = 8;
constexpr int kLongestBar = 30;
constexpr int kSpare =
    3;  // columns left free, so that the "^C" a terminal shows does not wrap the line

constexpr char kRed[] = "\x1b[31m";
constexpr char kGreen[] = "\x1b[32m";
constexpr char kYellow[] = "\x1b[33m";
constexpr char kCyan[] = "\x1b[36m";
constexpr char kFaint[] = "\x1b[2m";
constexpr char kPlain[] = "\x1b[0m";

std::string Coloured(absl::string_view text, const char* colour, bool on) {
  return on ? absl::StrCat(colour, text, kPlain) : std::string(text);
}

std::string Label(absl::string_view label) {
  return PadRight(Truncate(Printable(label), kLabelColumns - 1), kLabelColumns);
}

std::string MarkText(Mark mark, bool colour) {
  switch (mark) {
    case Mark::kDone:
      return Coloured("✓", kGreen, colour);
    case Mark::kWarning:
      return Coloured("!", kYellow, colour);
    case Mark::kFailed:
      return Coloured("✗", kRed, colour);
    case Mark::kNone:
      break;
  }
  return " ";
}

std::string Repeat(absl::string_view glyph, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) absl::StrAppend(&text, glyph);
  return text;
}

// "212/300", as wide at the beginning as at the end.
std::string Counter(const ProgressLine& line) {
  if (line.bytes) return absl::StrCat(ByteSize(line.done), " of ", ByteSize(line.total));
  const auto total = absl::StrCat(line.total);
  return absl::StrCat(PadLeft(absl::StrCat(line.done), static_cast<int>(total.size())), "/", total);
}

// Half a column is the tip's precision.
std::string Bar(const ProgressLine& line, int columns, bool colour) {
  const auto halves = static_cast<int>(2 * columns * line.done / std::max<int64_t>(line.total, 1));
  const int full = std::clamp(halves / 2, 0, columns);
  const bool tip = halves % 2 == 1 && full < columns;
  return absl::StrCat(Coloured(absl::StrCat(Repeat("━", full), tip ? "╸" : ""), kCyan, colour),
                      Coloured(Repeat("─", columns - full - (tip ? 1 : 0)), kFaint, colour));
}

void AppendPart(std::string* line, absl::string_view part) {
  if (!part.empty()) absl::StrAppend(line, "  ", part);
}

std::string TimeLeft(const ProgressLine& line) {
  return line.eta ? absl::StrCat(ClockTime(*line.eta), " left") : "";
}

// What stands behind the percentage: the first `parts` of what ProgressLine lists.
constexpr int kTailParts = 5;
std::string Tail(const ProgressLine& line, int parts) {
  std::string text;
  if (parts >= 2) AppendPart(&text, line.figures);
  if (parts >= 3) AppendPart(&text, line.measured);
  if (parts >= 4) AppendPart(&text, line.speed);
  if (parts >= 5) AppendPart(&text, line.photos);
  if (parts >= 1) AppendPart(&text, TimeLeft(line));
  return text;
}

std::string PercentText(const ProgressLine& line) { return absl::StrCat(Percent(line), "%"); }

}  // namespace

int Percent(const ProgressLine& line) {
  if (line.total <= 0) return 0;
  return static_cast<int>(std::clamp<int64_t>(100 * line.done / line.total, 0, 100));
}

std::string RenderBar(const ProgressLine& line, const BarStyle& style) {
  const auto spinner =
      Coloured(kSpinner[style.spinner_frame % kSpinner.size()], kCyan, style.colour);
  const auto head = absl::StrCat(" ", spinner, " ", Label(line.label));
  const int room = style.columns - kSpare - kTextColumn;
  if (line.total <= 0) {
    return absl::StrCat(head, Truncate(Printable(line.text), room));
  }
  const auto counter = Counter(line);
  const auto percent = PadLeft(PercentText(line), 4);
  const int beside = room - DisplayWidth(counter) - 1 - DisplayWidth(percent);
  // As much as fits beside a short bar.
  std::string end;
  for (int parts = kTailParts; parts >= 0; --parts) {
    end = Tail(line, parts);
    if (beside - DisplayWidth(end) >= kShortestBar) break;
  }
  const int bar = std::min(beside - DisplayWidth(end), kLongestBar);
  return absl::StrCat(head, counter, " ", bar > 0 ? Bar(line, bar, style.colour) : "", percent,
                      end);
}

std::string RenderPlain(const ProgressLine& line) {
  const auto text = absl::StrCat("   ", Label(line.label));
  if (line.total <= 0) return absl::StrCat(text, Printable(line.text));
  return absl::StrCat(text, Counter(line), " ", PercentText(line), Tail(line, kTailParts));
}

std::string RenderLine(Mark mark, absl::string_view label, absl::string_view text, int columns,
                       bool colour) {
  const auto head = absl::StrCat(" ", MarkText(mark, colour), " ", Label(label));
  const auto body = Printable(text);
  if (columns == 0) return absl::StrCat(head, body);
  return absl::StrCat(head, Wrap(body, columns - 1, kTextColumn));
}

}  // namespace likeness::client
