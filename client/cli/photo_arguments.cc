#include "client/cli/photo_arguments.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"

namespace likeness::client {

std::vector<RefusalNames::Photo> ShownNames(Screen& screen, const PhotoSet& set) {
  std::vector<RefusalNames::Photo> names;
  for (const auto& photo : set.photos) {
    names.push_back({photo.path, photo.caption_path, photo.mask_path});
  }
  constexpr size_t kMostLines = 5;
  for (size_t i = 0; i < std::min(set.left_out.size(), kMostLines); ++i) {
    const auto& left_out = set.left_out[i];
    screen.Line(Mark::kWarning, "left out",
                absl::StrCat(left_out.file.string(), " ", left_out.why));
  }
  if (set.left_out.size() > kMostLines) {
    screen.Line(Mark::kWarning, "left out",
                absl::StrCat("and ", set.left_out.size() - kMostLines, " more"));
  }
  return names;
}

absl::Status CheckUsable(const PhotoSet& set, absl::string_view list) {
  std::vector<FieldViolation> violations;
  std::vector<std::string> reasons;  // of each
  const auto check = [&](const absl::Status& usable, size_t index, absl::string_view part) {
    if (usable.ok()) return;
    reasons.push_back(ErrorReason(usable));
    violations.push_back(
        {absl::StrCat(list, "[", index, "]", part), std::string(usable.message())});
  };
  for (size_t i = 0; i < set.photos.size(); ++i) {
    check(set.photos[i].usable, i, "");
    check(set.photos[i].caption_usable, i, ".caption");
    check(set.photos[i].mask_usable, i, ".mask");
  }
  if (violations.empty()) return absl::OkStatus();
  const bool alike = std::all_of(reasons.begin(), reasons.end(), [&](const std::string& reason) {
    return reason == reasons.front();
  });
  if (alike) return InvalidFields(violations, reasons.front());
  // An error has one reason: what can be done about each stands in its description.
  for (size_t i = 0; i < violations.size(); ++i) {
    violations[i].description = WithAdvice(violations[i].description, reasons[i]);
  }
  return InvalidFields(violations);
}

}  // namespace likeness::client
