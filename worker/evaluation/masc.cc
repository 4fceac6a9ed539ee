#include "worker/evaluation/masc.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "worker/base/error.h"
#include "worker/evaluation/measures.h"
#include "worker/evaluation/subject_parts.h"

namespace likeness {
namespace {

constexpr double kSubject = 0.5;  // of a patch

bool HasWord(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || std::isalnum(byte) != 0;
  });
}

// Which patches are around the subject, [P] of bool; undefined where the subject cannot be looked
// for.
torch::Tensor Around(const Image& picture,
                     const std::function<std::optional<Image>(const Image&)>& find_subject,
                     const SiglipEvaluator& siglip, int64_t patches, MascFigures& figures) {
  std::optional<Image> mask;
  try {
    mask = find_subject(picture);
  } catch (const Error& error) {
    figures.finder_error = error.what();
    return {};
  }
  if (!mask) {
    ++figures.no_subject;
    return torch::ones({patches}, torch::kBool);
  }
  const auto around_P = siglip.Covered(*mask) < kSubject;
  if (!around_P.any().item<bool>()) ++figures.all_subject;
  return around_P;
}

}  // namespace

MascFigures MeasureMasc(const std::vector<MaskedPhoto>& photos,
                        const std::vector<const Image*>& pictures,
                        const std::vector<std::string>& scenes,
                        const std::function<std::optional<Image>(const Image&)>& find_subject,
                        SiglipEvaluator& siglip, PictureCounter& counter) {
  MascFigures figures;
  SubjectParts parts([&](const Image& photo) { return siglip.EmbedPatches(photo); });
  for (const auto& [photo, mask] : photos) {
    parts.Add(*photo, siglip.EmbedPatches(*photo), siglip.Covered(*mask) > kSubject);
    counter.Add();
  }
  std::map<std::string, torch::Tensor> texts_1D;
  const auto text_of = [&](const std::string& scene) -> const torch::Tensor& {
    auto& text_1D = texts_1D[scene];
    if (!text_1D.defined()) text_1D = siglip.EmbedText(scene);
    return text_1D;
  };
  InBatches(pictures, [&](const std::vector<const Image*>& batch) {
    for (const auto& seen : siglip.EmbedParts(batch)) {
      const size_t i = figures.found.size();
      figures.found.push_back(parts.FoundIn(seen.patches_PD));
      auto& followed = figures.followed.emplace_back();
      if (find_subject && !figures.finder_error && HasWord(scenes[i])) {
        const auto around_P =
            Around(*pictures[i], find_subject, siglip, seen.read_PD.size(0), figures);
        if (around_P.defined() && around_P.any().item<bool>()) {
          followed = Cosines(siglip.Pool(seen, around_P), text_of(scenes[i])).item<double>();
        }
      }
      counter.Add();
    }
  });
  if (figures.finder_error) {
    figures.followed.assign(pictures.size(), std::nullopt);
    figures.all_subject = figures.no_subject = 0;
  }
  figures.among_photos = parts.FoundAmongPhotos([&] { counter.Poll(); });
  return figures;
}

}  // namespace likeness
