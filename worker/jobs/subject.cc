#include "worker/jobs/subject.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/photo_folder.h"
#include "common/photo_look.h"
#include "common/rpc_error.h"
#include "worker/images/crop.h"
#include "worker/jobs/photo_file.h"
#include "worker/jobs/prompts.h"
#include "worker/jobs/token_check.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

PhotoLook LookOf(const Image& image) {
  PhotoLooker looker(image.width, image.height, 3);
  for (int y = 0; y < image.height; ++y) {
    looker.AddRow(&image.rgb[static_cast<size_t>(y) * image.width * 3]);
  }
  return looker.Finish();
}

// `field` names the photo in messages; its place in the request is `path` and this. `looks`: may be
// null.
SubjectPhoto FetchPhoto(const v1::Photo& photo, const std::string& path, const std::string& field,
                        int image_size, const PromptWords& words, JobEnvironment& environment,
                        Conversions& conversions, std::vector<NamedLook>* looks) {
  const auto cut = [&](const Image& whole) {
    const auto box = CropBoxOf(photo);
    const int side = box ? std::min(box->width, box->height) : std::min(whole.width, whole.height);
    if (side < image_size) {
      environment.Warn(absl::StrFormat("%s is small: %d px are enlarged to the model's %d px",
                                       field, side, image_size));
    }
    if (looks != nullptr) {
      looks->push_back({field, LookOf(box ? Crop(whole, *box) : whole)});
    }
    return SquarePhoto(whole, box, image_size);
  };
  return {FetchPhotoFile(photo, path, field, environment, conversions, cut),
          FillPrompt(photo.caption(), words)};
}

}  // namespace

SubjectPhotos FetchPhotos(const v1::Subject& subject, int image_size, JobEnvironment& environment,
                          std::vector<NamedLook>* looks, const std::string& path) {
  const PromptWords words{subject.token(), subject.class_noun()};
  SubjectPhotos photos;
  Conversions conversions;
  for (int i = 0; i < subject.photos_size(); ++i) {
    photos.training.push_back(FetchPhoto(subject.photos(i), path, absl::StrCat("photos[", i, "]"),
                                         image_size, words, environment, conversions, looks));
  }
  for (int i = 0; i < subject.validation_photos_size(); ++i) {
    photos.validation.push_back(FetchPhoto(subject.validation_photos(i), path,
                                           absl::StrCat("validation_photos[", i, "]"), image_size,
                                           words, environment, conversions, nullptr));
  }
  WarnOfConversions(conversions, environment);
  if (const auto warning = PhotoCountWarning(subject.photos_size())) environment.Warn(*warning);
  return photos;
}

void CheckToken(const v1::Subject& subject, const ClipTokenizer& tokenizer,
                JobEnvironment& environment) {
  const std::string& token = subject.token();
  const size_t pieces = tokenizer.Encode(token).size();
  if (subject.require_single_token() && pieces != 1) {
    ThrowIfError(InvalidField("job.fine_tune.subjects[0].token",
                              absl::StrCat("\"", token, "\" is ", pieces,
                                           " tokens of this model's vocabulary; 1 is required"),
                              "TOKEN_NOT_SINGLE"));
  }
  if (IsKnownWord(token, tokenizer)) {
    environment.Warn(absl::StrCat("the token \"", token,
                                  "\" is a word that the model knows already; its meaning will mix "
                                  "with the subject's. A rare one works better"));
  }
}

}  // namespace likeness
