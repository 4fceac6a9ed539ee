#include "worker/jobs/job_sheet.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/jobs/figures_text.h"
#include "worker/jobs/outputs.h"
#include "worker/support/files.h"

namespace likeness {

std::vector<SheetRow> SheetRows(const v1::FineTuneSpec& spec,
                                const std::vector<SubjectPhotos>& photos,
                                const std::vector<Picture>& pictures,
                                const std::optional<Judgement>& judgement) {
  size_t columns = 4;
  for (const auto& of_subject : photos) columns = std::max(columns, of_subject.training.size());
  columns = std::min<size_t>(columns, 6);
  std::vector<SheetRow> rows;
  const auto add = [&](const Image& image, std::string caption, std::string figures) {
    if (rows.back().cells.size() == columns) rows.push_back({});
    rows.back().cells.push_back({image, std::move(caption), std::move(figures)});
  };
  for (size_t i = 0; i < photos.size(); ++i) {
    const bool several = photos.size() > 1;
    rows.push_back(
        {.heading = several ? absl::StrCat("Photos of ", SubjectName(spec, static_cast<int>(i)))
                            : "Photos",
         .cells = {}});
    for (const auto& photo : photos[i].training) add(photo.image, photo.caption, "");
  }
  rows.push_back({.heading = "Pictures", .cells = {}});
  for (size_t i = 0; i < pictures.size(); ++i) {
    const bool judged = judgement && i < judgement->pictures.size();
    add(pictures[i].image,
        absl::StrCat(pictures[i].prompt, " (seed ", pictures[i].seed,
                     pictures[i].withheld() ? ", withheld)" : ")"),
        judged ? absl::StrJoin(FigureTexts(judgement->pictures[i]), ", ") : "");
  }
  return rows;
}

std::vector<v1::Output> WriteContactSheet(const v1::FineTuneSpec& spec,
                                          const std::vector<SubjectPhotos>& photos,
                                          const std::vector<Picture>& pictures,
                                          const std::optional<Judgement>& judgement,
                                          JobEnvironment& environment) {
  if (pictures.empty()) return {};
  v1::Output output;
  output.set_kind(v1::OUTPUT_KIND_CONTACT_SHEET);
  output.set_path("contact-sheet.png");
  const auto file = environment.scratch() / output.path();
  WriteFile(file, EncodePicture(DrawContactSheet(SheetRows(spec, photos, pictures, judgement))));
  return {DescribeFile(file, output)};
}

}  // namespace likeness
