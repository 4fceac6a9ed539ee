#include "worker/jobs/faces.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "worker/base/error.h"
#include "worker/images/decode.h"
#include "worker/images/face_detector.h"
#include "worker/jobs/judge_settings.h"
#include "worker/jobs/photo_file.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kPeople[] = {
    "actor", "actress", "baby",   "boy",      "bride",   "child",    "face",  "female",
    "girl",  "grandma", "groom",  "guy",      "human",   "lady",     "male",  "man",
    "men",   "person",  "player", "portrait", "toddler", "teenager", "woman", "women",
};

// Nothing of a photo that cannot be used: that is told where it is fetched to be learned from.
std::optional<Image> Decoded(const v1::Photo& photo, JobEnvironment& environment) {
  const auto file = environment.scratch() / "face-photo";
  environment.FetchBlob(photo.blob(), file, {});
  const std::string bytes = ReadFile(file);
  fs::remove(file);
  try {
    Image whole = DecodePhoto(bytes).image;
    if (const auto box = CropBoxOf(photo)) return Crop(whole, *box);
    return whole;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInvalidArgument) throw;
    return std::nullopt;
  }
}

class FaceFinder {
 public:
  FaceFinder(const EvaluatorFiles& detector, JobEnvironment& environment)
      : detector_(detector.directory / kFaceDetectorFile), environment_(environment) {}

  // `crop`: as Subject.crop asks. `person`: the class is one. `field` names the photo.
  void Look(v1::Photo& photo, bool crop, bool person, const std::string& field) {
    ThrowIfStopped(environment_.Stop());
    const auto image = Decoded(photo, environment_);
    if (!image) return;
    const auto faces = detector_.Detect(*image);
    crop = crop && !photo.has_crop_box();
    if (faces.empty() && (crop || person)) {
      environment_.Warn(absl::StrCat(field, ": no face is seen",
                                     crop ? "; the square in the center is used" : ""));
    }
    if (faces.size() > 1 && person) {
      environment_.Warn(absl::StrCat(field, ": ", faces.size(),
                                     " faces are seen; who else is in a photo is learned, too"));
    }
    const int least = std::min(image->width, image->height);
    if (!crop || faces.empty() || least < kMinCropSide) return;
    const CropBox square = SquareAround(faces.front(), *image);
    auto& box = *photo.mutable_crop_box();
    box.set_left(square.left);
    box.set_top(square.top);
    box.set_width(square.width);
    box.set_height(square.height);
  }

 private:
  FaceDetector detector_;
  JobEnvironment& environment_;
};

}  // namespace

bool IsPerson(const std::string& class_noun) {
  const std::string lower = absl::AsciiStrToLower(class_noun);
  const std::vector<absl::string_view> words =
      absl::StrSplit(lower, absl::ByAnyChar(" -"), absl::SkipWhitespace());
  return !words.empty() &&
         std::find(std::begin(kPeople), std::end(kPeople), words.back()) != std::end(kPeople);
}

void LookForFaces(const std::vector<EvaluatorFiles>& found, v1::FineTuneSpec& spec,
                  JobEnvironment& environment) {
  const auto detector = FirstOf(found, EvaluatorKind::kFaceDetector);
  std::optional<FaceFinder> finder;
  for (int i = 0; i < spec.subjects_size(); ++i) {
    v1::Subject& subject = *spec.mutable_subjects(i);
    const bool crop = subject.crop() == v1::SUBJECT_CROP_FACE;
    const bool person = IsPerson(subject.class_noun());
    if (crop && !detector) {
      RefuseMissing(absl::StrCat("job.fine_tune.subjects[", i,
                                 "].crop is SUBJECT_CROP_FACE, which needs a face detector among "
                                 "the evaluators; this worker has none"));
    }
    if (!detector || (!crop && !person)) continue;
    if (!finder) finder.emplace(*detector, environment);
    const std::string of =
        spec.subjects_size() > 1 ? absl::StrCat("subjects[", i, "].") : std::string();
    for (int k = 0; k < subject.photos_size(); ++k) {
      finder->Look(*subject.mutable_photos(k), crop, person, absl::StrCat(of, "photos[", k, "]"));
    }
    for (int k = 0; crop && k < subject.validation_photos_size(); ++k) {
      finder->Look(*subject.mutable_validation_photos(k), crop, person,
                   absl::StrCat(of, "validation_photos[", k, "]"));
    }
  }
}

}  // namespace likeness
