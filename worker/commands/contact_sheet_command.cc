// likeness-worker contact-sheet: pictures from files on one page.
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "worker/commands/commands.h"
#include "worker/images/contact_sheet.h"
#include "worker/images/decode.h"
#include "worker/images/encode.h"
#include "worker/support/command_flags.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

constexpr char kUsage[] = R"(Usage: likeness-worker contact-sheet --out FILE.png
           --row HEADING=FILE,FILE,... [--row ...]

Lays pictures on one page, a row under each heading. A file may be followed by a
caption: FILE:CAPTION.
)";

SheetCell ReadCell(const std::string& text) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  return {DecodePhoto(ReadFile(parts.first)).image, parts.second};
}

SheetRow ReadRow(const std::string& text) {
  // The last '=' parts: a heading may hold one, a list of files does not.
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos) {
    ThrowIfError(
        absl::InvalidArgumentError(absl::StrCat("--row ", text, ": HEADING=FILE,... is needed")));
  }
  SheetRow row{.heading = text.substr(0, equals), .cells = {}};
  for (const auto file : absl::StrSplit(text.substr(equals + 1), ',')) {
    row.cells.push_back(ReadCell(std::string(file)));
  }
  return row;
}

}  // namespace

int ContactSheetCommand(const CommandLine& arguments) {
  std::vector<std::string> rows;
  SheetOptions options;
  std::string out;
  FlagSet flags(kUsage);
  flags.Add("out", &out, "The page, a PNG file.");
  flags.Add("row", &rows, "A row of pictures; may be repeated.");
  flags.Add("title", &options.title, "A line over all.");
  flags.Add("tile", &options.tile, "Side of each picture on the page, in pixels.");
  return RunWithFlags(flags, arguments, [&]() -> absl::Status {
    RETURN_IF_ERROR(RequireFlag("out", out));
    std::vector<SheetRow> sheet;
    for (const auto& row : rows) sheet.push_back(ReadRow(row));
    WriteFile(out, EncodePng(DrawContactSheet(sheet, options)));
    return absl::OkStatus();
  });
}

}  // namespace likeness
