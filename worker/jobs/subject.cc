#include "worker/jobs/subject.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/photo_folder.h"
#include "common/photo_look.h"
#include "common/prior.h"
#include "common/rpc_error.h"
#include "common/subject_phrase.h"
#include "worker/images/buckets.h"
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

bool IsAll(uint8_t grey, const Image& mask) {
  return std::all_of(mask.rgb.begin(), mask.rgb.end(),
                     [&](uint8_t value) { return value == grey; });
}

// The photos of one subject.
class PhotoFetcher {
 public:
  // `path`: of the subject in the request.
  PhotoFetcher(v1::Subject& subject, PromptWords words, const std::string& path,
               const PhotoRules& rules, JobEnvironment& environment, const LookAtPhoto& look)
      : subject_(subject),
        words_(std::move(words)),
        path_(path),
        look_(look),
        rules_(rules),
        sizes_(rules.aspect_ratio_buckets
                   ? BucketSizes(rules.image_size)
                   : std::vector<PictureSize>{{rules.image_size, rules.image_size}}),
        environment_(environment) {}

  // `name`: of the subject in messages. `looks`: may be null.
  SubjectPhotos FetchAll(const std::string& name, std::vector<NamedLook>* looks) {
    SubjectPhotos fetched;
    for (int i = 0; i < subject_.photos_size(); ++i) {
      fetched.training.push_back(Fetch(*subject_.mutable_photos(i), /*validation=*/false,
                                       absl::StrCat(name, "photos[", i, "]"), looks));
    }
    for (int i = 0; i < subject_.validation_photos_size(); ++i) {
      fetched.validation.push_back(
          Fetch(*subject_.mutable_validation_photos(i), /*validation=*/true,
                absl::StrCat(name, "validation_photos[", i, "]"), /*looks=*/nullptr));
    }
    return fetched;
  }

  const Conversions& conversions() const { return conversions_; }

 private:
  SubjectPhoto Fetch(v1::Photo& photo, bool validation, const std::string& field,
                     std::vector<NamedLook>* looks) {
    std::optional<CropBox> box;
    const auto cut = [&](const Image& whole) { return Cut(whole, box); };
    int width = 0, height = 0;
    SubjectPhoto fetched;
    const auto use = [&](const DecodedPhoto& decoded) {
      const Image& whole = decoded.image;
      width = whole.width;
      height = whole.height;
      auto predicted = look_ ? look_(subject_, validation, field, whole, photo) : std::nullopt;
      box = CropBoxOf(photo);
      WarnOfSmall(field, box ? PictureSize{box->width, box->height} : PictureSize{width, height});
      if (looks != nullptr) looks->push_back({field, LookOf(box ? Crop(whole, *box) : whole)});
      if (rules_.alpha_masks && decoded.opacity) {
        Image opacity = cut(*decoded.opacity);
        // Where what is cut out is opaque all over, the photo is as one without transparency.
        if (!IsAll(255, opacity)) fetched.mask = std::move(opacity);
      }
      if (!fetched.mask && predicted) {
        Image mask = cut(*predicted);
        // Where the object lies outside of what is cut out, the photo counts whole.
        fetched.mask_is_predicted = !IsAll(0, mask);
        if (fetched.mask_is_predicted) fetched.mask = std::move(mask);
      }
      return cut(whole);
    };
    fetched.image = FetchPhotoFile(photo, path_, field, environment_, conversions_, use);
    fetched.caption = FillPrompt(photo.caption(), words_);
    if (rules_.micro_conditioning) {
      fetched.micro_conditioning =
          CutAndScaled(width, height, box, fetched.image.width, fetched.image.height);
    }
    if (photo.has_mask()) {
      fetched.mask_is_predicted = false;
      fetched.mask =
          FetchMaskFile(photo.mask(), path_, field + ".mask", width, height, environment_, cut);
    }
    if (fetched.mask && IsAll(0, *fetched.mask)) {
      throw StatusError(InvalidField(
          absl::StrCat(path_, field, photo.has_mask() ? ".mask" : ""),
          photo.has_mask()
              ? "is black all over where the photo is learned from; it has to be white "
                "where the subject is"
              : "is transparent all over where it is learned from",
          "MASK_EMPTY"));
    }
    if (looks != nullptr) {
      const bool masked = fetched.mask && !IsAll(255, *fetched.mask);
      looks->back().background_is_learned = !masked || rules_.unmasked_weight > 0;
    }
    return fetched;
  }

  // What a photo, or its box, is scaled and cut to.
  PictureSize SizeFor(const PictureSize& part) const {
    return BestBucket(part.width, part.height, sizes_);
  }

  Image Cut(const Image& whole, const std::optional<CropBox>& box) const {
    if (!rules_.aspect_ratio_buckets) return SquarePhoto(whole, box, rules_.image_size);
    const Image part = box ? Crop(whole, *box) : whole;
    const PictureSize size = SizeFor({part.width, part.height});
    return Cover(part, size.width, size.height);
  }

  void WarnOfSmall(const std::string& field, const PictureSize& part) {
    const PictureSize size = SizeFor(part);
    // The side that is scaled by more.
    const bool wide = int64_t{part.width} * size.height < int64_t{part.height} * size.width;
    const int side = wide ? part.width : part.height, wanted = wide ? size.width : size.height;
    if (side >= wanted) return;
    environment_.Warn(absl::StrFormat("%s is small: %d px are enlarged to the model's %d px", field,
                                      side, wanted));
  }

  v1::Subject& subject_;
  const PromptWords words_;
  const std::string& path_;
  const LookAtPhoto& look_;  // may be empty
  const PhotoRules rules_;
  const std::vector<PictureSize> sizes_;  // at least the square
  JobEnvironment& environment_;
  Conversions conversions_;
};

// `name`: of the subject in messages, "subjects[1]." where there are several; its place in the
// request is `path` and this.
SubjectPhotos FetchNamed(v1::Subject& subject, const PromptWords& words, const PhotoRules& rules,
                         const std::string& path, const std::string& name,
                         JobEnvironment& environment, std::vector<NamedLook>* looks,
                         const LookAtPhoto& look) {
  PhotoFetcher fetcher(subject, words, path, rules, environment, look);
  SubjectPhotos photos = fetcher.FetchAll(name, looks);
  WarnOfConversions(fetcher.conversions(), environment);
  if (looks != nullptr) {  // they are learned from
    const auto warning = PhotoCountWarning(subject.photos_size(), absl::StripSuffix(name, "."));
    if (warning) environment.Warn(*warning);
  }
  const bool masked = std::any_of(photos.training.begin(), photos.training.end(),
                                  [](const SubjectPhoto& photo) { return photo.mask.has_value(); });
  if (rules.alpha_masks && !masked) {
    environment.Warn(
        absl::StrCat(name.empty() ? "" : absl::StrCat("of ", absl::StripSuffix(name, "."), ", "),
                     "alpha_masks: no photo has a mask, and none is transparent anywhere"));
  }
  return photos;
}

}  // namespace

SubjectPhotos FetchPhotos(v1::Subject subject, const PhotoRules& rules, JobEnvironment& environment,
                          std::vector<NamedLook>* looks, const std::string& path) {
  return FetchNamed(subject, {subject.token(), subject.class_noun()}, rules, path, /*name=*/"",
                    environment, looks, /*look=*/{});
}

std::vector<SubjectPhotos> FetchAllPhotos(v1::FineTuneSpec& spec, const PhotoRules& rules,
                                          JobEnvironment& environment, const LookAtPhoto& look) {
  std::vector<SubjectPhotos> photos;
  const bool several = spec.subjects_size() > 1;
  for (int i = 0; i < spec.subjects_size(); ++i) {
    const std::string name = absl::StrCat("subjects[", i, "].");
    std::vector<NamedLook> looks;
    photos.push_back(FetchNamed(*spec.mutable_subjects(i), WordsOf(spec, i), rules,
                                absl::StrCat("job.fine_tune.", several ? "" : name),
                                several ? name : "", environment, &looks, look));
    for (const auto& warning : WarningsOfLooks(looks)) environment.Warn(warning);
  }
  return photos;
}

std::vector<SubjectPhoto> FetchClassPhotos(const v1::FineTuneSpec& resolved, int image_size,
                                           JobEnvironment& environment) {
  std::vector<SubjectPhoto> fetched;
  if (!UsesClassImages(resolved.prior())) return fetched;
  const auto& photos = resolved.prior().class_photos();
  std::vector<MicroConditioning> cuts;
  for (Image& image : FetchSquarePhotos(photos, "job.fine_tune.", "prior.class_photos", image_size,
                                        environment, &cuts)) {
    const size_t i = fetched.size();
    const std::string& caption = photos[static_cast<int>(i)].caption();
    fetched.push_back(
        {.image = std::move(image), .caption = FillPrompt(caption, WordsOf(resolved))});
    if (resolved.training().micro_conditioning()) fetched.back().micro_conditioning = cuts[i];
  }
  return fetched;
}

std::string SubjectName(const v1::FineTuneSpec& spec, int subject) {
  return SubjectPhrase(spec.subjects(subject).token(), spec.subjects(subject).class_noun());
}

void CheckToken(const v1::Subject& subject, const std::string& field,
                const ClipTokenizer& tokenizer, JobEnvironment& environment) {
  const std::string& token = subject.token();
  const size_t pieces = tokenizer.Encode(token).size();
  if (subject.require_single_token() && pieces != 1) {
    ThrowIfError(InvalidField(field + ".token",
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
