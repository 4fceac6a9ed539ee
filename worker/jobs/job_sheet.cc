#include "worker/jobs/job_sheet.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/images/contact_sheet.h"
#include "worker/jobs/figures_text.h"
#include "worker/jobs/outputs.h"
#include "worker/support/files.h"

namespace likeness {

std::vector<v1::Output> WriteContactSheet(const SubjectPhotos& photos,
                                          const std::vector<Picture>& pictures,
                                          const std::optional<Judgement>& judgement,
                                          JobEnvironment& environment) {
  if (pictures.empty()) return {};
  const size_t columns = std::clamp<size_t>(photos.training.size(), 4, 6);
  std::vector<SheetRow> rows = {{.heading = "Photos", .cells = {}}};
  const auto add = [&](const Image& image, std::string caption, std::string figures) {
    if (rows.back().cells.size() == columns) rows.push_back({});
    rows.back().cells.push_back({image, std::move(caption), std::move(figures)});
  };
  for (const auto& photo : photos.training) add(photo.image, photo.caption, "");
  rows.push_back({.heading = "Pictures", .cells = {}});
  for (size_t i = 0; i < pictures.size(); ++i) {
    const bool judged = judgement && i < judgement->pictures.size();
    add(pictures[i].image,
        absl::StrCat(pictures[i].prompt, " (seed ", pictures[i].seed,
                     pictures[i].withheld() ? ", withheld)" : ")"),
        judged ? absl::StrJoin(FigureTexts(judgement->pictures[i]), ", ") : "");
  }

  v1::Output output;
  output.set_kind(v1::OUTPUT_KIND_CONTACT_SHEET);
  output.set_path("contact-sheet.png");
  const auto file = environment.scratch() / output.path();
  WriteFile(file, EncodePicture(DrawContactSheet(rows)));
  return {DescribeFile(file, output)};
}

}  // namespace likeness
