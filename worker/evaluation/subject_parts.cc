#include "worker/evaluation/subject_parts.h"

#include <utility>

#include "worker/evaluation/measures.h"

namespace likeness {

void SubjectParts::Add(const Image& photo, torch::Tensor patches_PD,
                       const torch::Tensor& within_P) {
  Photo added{.image = &photo, .subject_SD = patches_PD.index({within_P}), .patches_PD = {}};
  const auto bytes = static_cast<int64_t>(patches_PD.nbytes());
  if (bytes <= room_) {
    room_ -= bytes;
    added.patches_PD = std::move(patches_PD);
  }
  photos_.push_back(std::move(added));
}

std::optional<double> SubjectParts::FoundIn(const torch::Tensor& picture_PD) const {
  std::vector<double> found;
  for (const Photo& photo : photos_) {
    if (photo.subject_SD.size(0) == 0) continue;
    found.push_back(MaskedMaxCosine(photo.subject_SD, picture_PD));
  }
  if (found.empty()) return std::nullopt;
  return MeanOfGroups({found}).mean;
}

std::optional<double> SubjectParts::FoundAmongPhotos(const std::function<void()>& poll) const {
  std::vector<double> found;
  for (const Photo& in : photos_) {
    poll();
    const auto patches_PD = in.patches_PD.defined() ? in.patches_PD : embed_(*in.image);
    for (const Photo& of : photos_) {
      if (&of == &in || of.subject_SD.size(0) == 0) continue;
      found.push_back(MaskedMaxCosine(of.subject_SD, patches_PD));
    }
  }
  if (found.empty()) return std::nullopt;
  return MeanOfGroups({found}).mean;
}

}  // namespace likeness
