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
  std::string reason;
  const auto check = [&](const absl::Status& usable, size_t index, absl::string_view part) {
    if (usable.ok()) return;
    const auto own_reason = ErrorReason(usable);
    reason = violations.empty() || reason == own_reason ? own_reason : "PHOTO_UNUSABLE";
    violations.push_back(
        {absl::StrCat(list, "[", index, "]", part), std::string(usable.message())});
  };
  for (size_t i = 0; i < set.photos.size(); ++i) {
    check(set.photos[i].usable, i, "");
    check(set.photos[i].caption_usable, i, ".caption");
    check(set.photos[i].mask_usable, i, ".mask");
  }
  return violations.empty() ? absl::OkStatus() : InvalidFields(violations, reason);
}

}  // namespace likeness::client
