#include "client/cli/picture_sheet.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/lib/download.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kHead[] = R"(<!doctype html>
<meta charset="utf-8">
<style>
body { font: 14px sans-serif; margin: 1em; }
figure { display: inline-block; margin: 0 8px 8px 0; }
img { display: block; width: 192px; min-height: 24px; }
</style>
)";

std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string AsUrl(const std::string& path) {
  return Escaped(absl::StrReplaceAll(path, {{"%", "%25"}, {"#", "%23"}, {"?", "%3F"}}));
}

}  // namespace

absl::StatusOr<std::string> WritePictureSheet(const std::filesystem::path& folder,
                                              const std::vector<SheetRow>& rows) {
  std::filesystem::path named = (folder / "").lexically_normal().parent_path();
  if (named.empty() || named.filename() == "." || named.filename() == "..") {
    named = (std::filesystem::absolute(folder) / "").lexically_normal().parent_path();
  }
  const std::string name = named.filename().string();
  std::string page = absl::StrCat(kHead, "<title>", Escaped(name), "</title>\n");
  for (const SheetRow& row : rows) {
    absl::StrAppend(&page, "<h2>", Escaped(row.heading), "</h2>\n");
    for (const std::string& file : row.files) {
      absl::StrAppend(&page, "<figure><img src=\"", AsUrl(absl::StrCat("./", name, "/", file)),
                      "\" alt=\"deleted\"><figcaption>", Escaped(file), "</figcaption></figure>\n");
    }
  }
  std::filesystem::path sheet = named;
  sheet.replace_filename(name + ".html");
  RETURN_IF_ERROR(WriteFileWhole(sheet, page));
  return sheet.string();
}

}  // namespace likeness::client
