#include "worker/runner/job_sheet.h"

#include "absl/strings/str_cat.h"
#include "worker/images/contact_sheet.h"
#include "worker/runner/outputs.h"

namespace likeness {

std::vector<v1::Output> WriteContactSheet(const SubjectPhotos& photos,
                                          const std::vector<Picture>& pictures,
                                          JobEnvironment& environment) {
  if (pictures.empty()) return {};
  std::vector<SheetRow> rows = {{.heading = "photos", .cells = {}}};
  for (const auto& photo : photos.training) rows[0].cells.push_back({photo.image, photo.caption});
  std::string prompt;
  for (const auto& picture : pictures) {
    if (rows.size() == 1 || picture.prompt != prompt) {
      prompt = picture.prompt;
      rows.push_back({.heading = prompt, .cells = {}});
    }
    rows.back().cells.push_back({picture.image, absl::StrCat("seed ", picture.seed)});
  }

  v1::Output output;
  output.set_kind(v1::OUTPUT_KIND_CONTACT_SHEET);
  output.set_path("contact-sheet.png");
  const auto file = environment.scratch() / output.path();
  WriteFile(file, EncodePicture(DrawContactSheet(rows)));
  return {DescribeFile(file, output)};
}

}  // namespace likeness
