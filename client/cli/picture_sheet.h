// A page that shows pictures of a folder, to look at in a browser.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace likeness::client {

struct SheetRow {
  std::string heading;
  std::vector<std::string> files;  // names within the folder
};

// Writes DIR.html beside the folder DIR, where it is no file among the pictures; returns its path.
// Pictures that are deleted later leave their names on the page.
absl::StatusOr<std::string> WritePictureSheet(const std::filesystem::path& folder,
                                              const std::vector<SheetRow>& rows);

}  // namespace likeness::client
