#include "worker/jobs/faces.h"

#include <algorithm>
#include <iterator>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "worker/images/crop.h"
#include "worker/jobs/judge_settings.h"
#include "worker/jobs/photo_file.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

constexpr absl::string_view kPeople[] = {
    "actor", "actress", "baby",   "boy",      "bride",   "child",    "face",  "female",
    "girl",  "grandma", "groom",  "guy",      "human",   "lady",     "male",  "man",
    "men",   "person",  "player", "portrait", "toddler", "teenager", "woman", "women",
};

}  // namespace

bool IsPerson(const std::string& class_noun) {
  const std::string lower = absl::AsciiStrToLower(class_noun);
  const std::vector<absl::string_view> words =
      absl::StrSplit(lower, absl::ByAnyChar(" -"), absl::SkipWhitespace());
  return !words.empty() &&
         std::find(std::begin(kPeople), std::end(kPeople), words.back()) != std::end(kPeople);
}

FaceFinder::FaceFinder(const std::vector<EvaluatorFiles>& found, const v1::FineTuneSpec& spec,
                       JobEnvironment& environment)
    : environment_(environment) {
  const auto detector = FirstOf(found, EvaluatorKind::kFaceDetector);
  for (int i = 0; i < spec.subjects_size(); ++i) {
    const bool crop = spec.subjects(i).crop() == v1::SUBJECT_CROP_FACE;
    if (crop && !detector) {
      RefuseMissing(absl::StrCat("job.fine_tune.subjects[", i,
                                 "].crop is SUBJECT_CROP_FACE, which needs a face detector among "
                                 "the evaluators; this worker has none"));
    }
    if (!detector || detect_ || (!crop && !IsPerson(spec.subjects(i).class_noun()))) continue;
    const auto network = NamingEvaluator(
        *detector, [&] { return std::make_shared<FaceDetector>(detector->directory / kOnnxFile); });
    detect_ = [files = *detector, network](const Image& picture) {
      return NamingEvaluator(files, [&] { return network->Detect(picture); });
    };
  }
}

void FaceFinder::Look(const v1::Subject& subject, bool validation, const std::string& field,
                      const Image& whole, v1::Photo& photo) {
  const bool asked = subject.crop() == v1::SUBJECT_CROP_FACE;
  const bool person = IsPerson(subject.class_noun());
  if (!detect_ || (!asked && (!person || validation))) return;
  ThrowIfStopped(environment_.Stop());
  const auto box = CropBoxOf(photo);
  const Image part = box ? Crop(whole, *box) : Image();
  const Image& seen = box ? part : whole;
  const auto faces = detect_(seen);
  const bool crop = asked && !box;
  if (faces.empty() && (crop || person)) {
    environment_.Warn(
        absl::StrCat(field, ": no face is seen", crop ? "; the square in the center is used" : ""));
  }
  if (faces.size() > 1 && person) {
    environment_.Warn(absl::StrCat(field, ": ", faces.size(),
                                   " faces are seen; who else is in a photo is learned, too"));
  }
  if (!crop || faces.empty() || std::min(seen.width, seen.height) < kMinCropSide) return;
  const CropBox square = SquareAroundFace(faces.front(), seen);
  auto& chosen = *photo.mutable_crop_box();
  chosen.set_left(square.left);
  chosen.set_top(square.top);
  chosen.set_width(square.width);
  chosen.set_height(square.height);
}

}  // namespace likeness
