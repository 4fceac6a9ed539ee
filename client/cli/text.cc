#include "client/cli/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace likeness::client {
namespace {

struct CodePoint {
  char32_t value;  // kBroken for a byte that is no UTF-8
  size_t bytes;
};
constexpr char32_t kBroken = 0xFFFFFFFF;

// The first code point of `text`, which is not empty (RFC 3629).
CodePoint Decode(absl::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || bytes > text.size()) return {kBroken, 1};
  char32_t value = lead & (0x7F >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0) != 0x80) return {kBroken, 1};
    value = value << 6 | (next & 0x3F);
  }
  return {value, bytes};
}

template <size_t kSize>
bool InRanges(char32_t value, const std::array<std::pair<char32_t, char32_t>, kSize>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(), [value](const auto& range) {
    return range.first <= value && value <= range.second;
  });
}

// The blocks that matter for prompts and file names, of Unicode's EastAsianWidth.txt and general
// categories Mn and Cf.
int Columns(char32_t value) {
  static constexpr std::array<std::pair<char32_t, char32_t>, 5> kNone{
      {{0x0300, 0x036F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}}};
  static constexpr std::array<std::pair<char32_t, char32_t>, 8> kWide{{{0x1100, 0x115F},
                                                                       {0x2E80, 0xA4CF},
                                                                       {0xAC00, 0xD7A3},
                                                                       {0xF900, 0xFAFF},
                                                                       {0xFE30, 0xFE6F},
                                                                       {0xFF00, 0xFF60},
                                                                       {0x1F300, 0x1FAFF},
                                                                       {0x20000, 0x3FFFD}}};
  if (InRanges(value, kNone)) return 0;
  return InRanges(value, kWide) ? 2 : 1;
}

bool Steers(char32_t value) {
  return value == kBroken || value < 0x20 || (value >= 0x7F && value < 0xA0) ||
         (value >= 0x202A && value <= 0x202E) || (value >= 0x2066 && value <= 0x2069);
}

std::string Spaces(int count) { return std::string(std::max(count, 0), ' '); }

}  // namespace

int DisplayWidth(absl::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const auto point = Decode(text);
    width += Columns(point.value);
    text.remove_prefix(point.bytes);
  }
  return width;
}

std::string PadRight(absl::string_view text, int columns) {
  return absl::StrCat(text, Spaces(columns - DisplayWidth(text)));
}

std::string PadLeft(absl::string_view text, int columns) {
  return absl::StrCat(Spaces(columns - DisplayWidth(text)), text);
}

std::string Truncate(absl::string_view text, int columns) {
  if (DisplayWidth(text) <= columns) return std::string(text);
  size_t end = 0;
  for (int width = 0; end < text.size();) {
    const auto point = Decode(text.substr(end));
    width += Columns(point.value);
    if (width > columns - 1) break;
    end += point.bytes;
  }
  return absl::StrCat(text.substr(0, end), columns > 0 ? "…" : "");
}

std::string Printable(absl::string_view text) {
  std::string printable;
  while (!text.empty()) {
    const auto point = Decode(text);
    absl::StrAppend(&printable, Steers(point.value) ? "?" : text.substr(0, point.bytes));
    text.remove_prefix(point.bytes);
  }
  return printable;
}

std::string Wrap(absl::string_view text, int columns, int indent) {
  std::string wrapped;
  int column = indent;
  for (absl::string_view word : absl::StrSplit(text, ' ')) {
    const int width = DisplayWidth(word);
    if (column > indent && column + 1 + width > columns) {
      absl::StrAppend(&wrapped, "\n", Spaces(indent));
      column = indent;
    } else if (column > indent) {
      wrapped += ' ';
      ++column;
    }
    absl::StrAppend(&wrapped, word);
    column += width;
  }
  return wrapped;
}

std::string ClockTime(absl::Duration duration) {
  const int64_t seconds = std::max<int64_t>(0, absl::ToInt64Seconds(duration));
  if (seconds < 3600) return absl::StrFormat("%d:%02d", seconds / 60, seconds % 60);
  return absl::StrFormat("%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::string RoundTime(absl::Duration duration) {
  const double seconds = std::max(0., absl::ToDoubleSeconds(duration));
  if (seconds >= .05 && seconds < .95) return absl::StrFormat("%.1f s", seconds);
  if (seconds < 120) return absl::StrFormat("%.0f s", seconds);
  if (seconds < 7200) return absl::StrFormat("%.0f min", seconds / 60);
  if (seconds < 172800) return absl::StrFormat("%.0f h", seconds / 3600);
  return absl::StrFormat("%.0f days", seconds / 86400);
}

std::string ByteSize(int64_t bytes) {
  if (bytes < 1000) return absl::StrFormat("%d B", bytes);
  double size = static_cast<double>(bytes) / 1000;
  for (const char* unit : {"kB", "MB", "GB"}) {
    if (size < 99.95) return absl::StrFormat("%.1f %s", size, unit);
    if (size < 999.5) return absl::StrFormat("%.0f %s", size, unit);
    size /= 1000;
  }
  return absl::StrFormat("%.1f TB", size);
}

std::string Figure(double value) {
  if (!std::isfinite(value)) return "-";
  if (!(std::abs(value) >= 999.5 && std::abs(value) < 1e15)) return absl::StrFormat("%.3g", value);
  auto digits = absl::StrFormat("%.0f", std::abs(value));
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return absl::StrCat(value < 0 ? "-" : "", digits);
}

std::string Count(int64_t count, absl::string_view noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

absl::StatusOr<std::map<std::string, std::string>> ParseLabels(
    absl::string_view flag, const std::vector<std::string>& said) {
  std::map<std::string, std::string> labels;
  for (const auto& label : said) {
    const size_t equals = label.find('=');
    if (equals == label.npos || equals == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, " is '", label, "'; it is written KEY=VALUE."));
    }
    if (!labels.emplace(label.substr(0, equals), label.substr(equals + 1)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, " ", label.substr(0, equals), " is there twice."));
    }
  }
  return labels;
}

}  // namespace likeness::client
