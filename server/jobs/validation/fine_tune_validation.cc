#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/class_noun.h"
#include "common/image_header.h"
#include "common/job_spec.h"
#include "common/judging.h"
#include "common/memory_settings.h"
#include "common/photo_folder.h"
#include "common/placeholders.h"
#include "common/resource_names.h"
#include "common/subject_token.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {
namespace {

constexpr int kMaxSubjects = 8;
constexpr int kMaxClassWords = 4;
constexpr int kMaxClassBytes = 100;
constexpr int kMaxFileNameBytes = 255;
constexpr int kMaxPreviewPrompts = 8;
constexpr int kMaxSamplePrompts = 64;

void CheckCropBox(const v1::CropBox& box, const std::string& path, FieldChecker& checker) {
  checker.Integer(path + ".left", box.left(), 0, kMaxPhotoSide);
  checker.Integer(path + ".top", box.top(), 0, kMaxPhotoSide);
  checker.Integer(path + ".width", box.width(), kMinPhotoSide, kMaxPhotoSide);
  checker.Integer(path + ".height", box.height(), kMinPhotoSide, kMaxPhotoSide);
}

// A mask is cut as its photo is, and says nothing by itself.
void CheckMask(const v1::Photo& mask, const std::string& field, const Limits& limits,
               FieldChecker& checker) {
  const auto refuse = [&](bool said, const char* name, const char* why) {
    if (said) checker.Add(absl::StrCat(field, ".", name), why, "OUT_OF_RANGE");
  };
  RefuseMask(mask, field, checker);
  if (mask.has_mask()) return;
  CheckPhoto(mask, field, limits, checker);
  refuse(!mask.caption().empty(), "caption", "is not allowed; the caption is the photo's");
  refuse(mask.has_crop_box(), "crop_box", "is not allowed; the photo's crop box cuts the mask too");
}

// What is learned of a photo hangs on the token, so its caption holds it: as itself or in
// "{subject}".
void CheckCaptions(const google::protobuf::RepeatedPtrField<v1::Photo>& photos,
                   const std::string& token, const std::string& path, FieldChecker& checker) {
  for (int i = 0; i < photos.size(); ++i) {
    const std::string& caption = photos[i].caption();
    if (caption.empty() || absl::StrContains(caption, "{subject}")) continue;
    if (absl::StrContains(caption, token)) continue;
    checker.Add(absl::StrCat(path, "[", i, "].caption"),
                absl::StrCat("does not hold the token \"", token, "\", nor \"{subject}\""),
                "CAPTION_WITHOUT_TOKEN");
  }
}

void CheckSubject(const v1::Subject& subject, const std::string& path, const Limits& limits,
                  FieldChecker& checker) {
  if (subject.photos().empty()) {
    checker.Add(path + ".photos",
                absl::StrCat("there are none; 1 to ", limits.max_photos, " are needed"),
                "NO_PHOTOS");
  }
  CheckPhotos(subject.photos(), path + ".photos", limits, checker);
  CheckPhotos(subject.validation_photos(), path + ".validation_photos", limits, checker);

  if (!v1::SubjectCrop_IsValid(subject.crop())) {
    checker.Add(path + ".crop",
                absl::StrCat("is ", static_cast<int>(subject.crop()),
                             "; SUBJECT_CROP_CENTER, SUBJECT_CROP_FACE and "
                             "SUBJECT_CROP_OBJECT are allowed"),
                "OUT_OF_RANGE");
  }
  if (absl::StripAsciiWhitespace(subject.class_noun()).empty()) {
    checker.Add(path + ".class_noun", "is missing; say what the subject is, such as \"dog\"",
                "CLASS_NOUN_MISSING");
  }
  CheckClassNoun(path + ".class_noun", subject.class_noun(), checker);
  if (!subject.has_token()) return;
  CheckToken(path + ".token", subject.token(), checker);
  CheckCaptions(subject.photos(), subject.token(), path + ".photos", checker);
  CheckCaptions(subject.validation_photos(), subject.token(), path + ".validation_photos", checker);
}

// A place with a number is filled in where there are several subjects, up to their number.
void CheckSubjectNumbers(const v1::FineTuneSpec& spec, const std::string& path,
                         FieldChecker& checker) {
  const int subjects = spec.subjects_size();
  const auto check = [&](const std::string& field, const std::string& text) {
    const auto place = PlaceOfNoSubject(text, subjects);
    if (!place) return;
    checker.Add(absl::StrCat(path, ".", field),
                absl::StrCat("holds ", *place, "; ",
                             subjects > 1 ? absl::StrCat("there are ", subjects, " subjects")
                                          : "of one subject, {subject} and {class} have no number"),
                "UNKNOWN_PLACEHOLDER");
  };
  const auto check_all = [&](const std::string& list, const auto& prompts) {
    for (int i = 0; i < prompts.size(); ++i) check(absl::StrCat(list, "[", i, "]"), prompts[i]);
  };
  const auto check_captions = [&](const std::string& list, const auto& photos) {
    for (int i = 0; i < photos.size(); ++i) {
      check(absl::StrCat(list, "[", i, "].caption"), photos[i].caption());
    }
  };
  check_all("samples.prompts", spec.samples().prompts());
  check_all("previews.prompts", spec.previews().prompts());
  check("prior.class_prompt", spec.prior().class_prompt());
  for (int i = 0; i < subjects; ++i) {
    const std::string subject = absl::StrCat("subjects[", i, "].");
    check_captions(subject + "photos", spec.subjects(i).photos());
    check_captions(subject + "validation_photos", spec.subjects(i).validation_photos());
  }
}

// What only jobs with several subjects can have wrong.
void CheckSeveral(const v1::FineTuneSpec& spec, const std::string& path, FieldChecker& checker) {
  for (int i = 1; i < spec.subjects_size(); ++i) {
    if (spec.subjects(i).has_token()) continue;
    checker.Add(absl::StrCat(path, ".subjects[", i, "].token"),
                "is missing; every subject after the first needs one", "INVALID_TOKEN");
  }
  CheckTokensDiffer(spec, /*default_token=*/"", path, checker);
  const bool one_class = std::all_of(
      spec.subjects().begin(), spec.subjects().end(),
      [&](const v1::Subject& other) { return other.class_noun() == SubjectOf(spec).class_noun(); });
  if (!spec.prior().class_photos().empty() && !one_class) {
    checker.Add(path + ".prior.class_photos",
                "are images of one class; the subjects have several class nouns, each of which "
                "needs its own. Without class_photos images of each class are drawn",
                "OUT_OF_RANGE");
  }
  if (PicksBestStep(spec)) {
    checker.Add(path + ".training.stop_rule",
                "is STOP_RULE_BEST, which compares images with photos of one subject; there are " +
                    std::to_string(spec.subjects_size()) +
                    " subjects, for which STOP_RULE_LOWEST_VALIDATION_LOSS and STOP_RULE_PLATEAU "
                    "are allowed",
                "OUT_OF_RANGE");
  }
}

void CheckSamples(const v1::Samples& samples, const std::string& path, const Limits& limits,
                  FieldChecker& checker) {
  CheckPrompts(samples.prompts(), path + ".prompts", kMaxSamplePrompts, limits, checker);
  if (samples.has_images_per_prompt()) {
    checker.Integer(path + ".images_per_prompt", samples.images_per_prompt(), 1, 16);
  }
  checker.Text(path + ".negative_prompt", samples.negative_prompt(), limits.max_prompt_bytes);
  if (samples.has_sampler()) checker.Sampler(path + ".sampler", samples.sampler());
  if (samples.has_steps()) checker.Integer(path + ".steps", samples.steps(), 1, 1000);
  if (samples.has_guidance()) checker.Real(path + ".guidance", samples.guidance(), 0, 100);
  if (samples.has_eta()) checker.Eta(path + ".eta", samples.eta(), samples.sampler());
}

}  // namespace

// Programs of clients write it into messages and look for it beside others.
void CheckFileName(const std::string& field, absl::string_view name, FieldChecker& checker) {
  checker.Text(field, name, kMaxFileNameBytes);
  if (absl::StrContains(name, '/') || absl::StrContains(name, '\\')) {
    checker.Add(field, "holds a directory; only the file's name is allowed", "INVALID_FILE_NAME");
  }
}

void CheckClassNoun(const std::string& field, const std::string& noun, FieldChecker& checker) {
  const std::vector<absl::string_view> words = absl::StrSplit(noun, ' ', absl::SkipWhitespace());
  if (words.size() > kMaxClassWords) {
    checker.Add(field,
                absl::StrCat("has ", words.size(), " words; 1 to ", kMaxClassWords, " are allowed"),
                "CLASS_NOUN_TOO_LONG");
  }
  checker.Text(field, noun, kMaxClassBytes);
  if (noun.find_first_of("{}") != std::string::npos) {
    checker.Add(field,
                absl::StrCat("is \"", absl::Utf8SafeCEscape(noun.substr(0, kMaxClassBytes)),
                             "\"; words without braces are allowed: prompts have these around "
                             "places to fill in"),
                "UNKNOWN_PLACEHOLDER");
  }
}

void CheckToken(const std::string& field, const std::string& token, FieldChecker& checker) {
  checker.Text(field, token, kMaxTokenBytes);
  if (const auto wrong = TokenError(token)) checker.Add(field, *wrong, "INVALID_TOKEN");
}

void CheckPhoto(const v1::Photo& photo, const std::string& field, const Limits& limits,
                FieldChecker& checker) {
  switch (photo.source_case()) {
    case v1::Photo::kInline:
      CheckPhotoFile(field + ".inline", photo.inline_(), checker);
      break;
    case v1::Photo::kBlob:
      if (auto blob = ParseBlobName(photo.blob(), field + ".blob"); !blob.ok()) {
        checker.Add(field + ".blob", NotOfForm(photo.blob(), "tenants/{tenant}/blobs/{sha256}"),
                    "INVALID_NAME");
      }
      break;
    default:
      checker.Add(field, "has no picture; set inline or blob", "PHOTO_EMPTY");
  }
  CheckPrompt(field + ".caption", photo.caption(), limits, checker);
  CheckFileName(field + ".file_name", photo.file_name(), checker);
  if (photo.has_crop_box()) CheckCropBox(photo.crop_box(), field + ".crop_box", checker);
  if (photo.has_mask()) CheckMask(photo.mask(), field + ".mask", limits, checker);
}

void RefuseMask(const v1::Photo& photo, const std::string& field, FieldChecker& checker) {
  if (photo.has_mask())
    checker.Add(field + ".mask", "is not allowed for this image", "OUT_OF_RANGE");
}

void CheckPhotos(const google::protobuf::RepeatedPtrField<v1::Photo>& photos,
                 const std::string& path, const Limits& limits, FieldChecker& checker) {
  checker.AtMost(path, photos.size(), "photos", limits.max_photos, "TOO_MANY_PHOTOS");
  if (photos.size() > limits.max_photos) return;
  for (int i = 0; i < photos.size(); ++i) {
    CheckPhoto(photos[i], absl::StrCat(path, "[", i, "]"), limits, checker);
  }
}

void CheckPrompts(const google::protobuf::RepeatedPtrField<std::string>& prompts,
                  const std::string& path, int max_prompts, const Limits& limits,
                  FieldChecker& checker) {
  checker.AtMost(path, prompts.size(), "prompts", max_prompts, "TOO_MANY_PROMPTS");
  if (prompts.size() > max_prompts) return;
  for (int i = 0; i < prompts.size(); ++i) {
    CheckPrompt(absl::StrCat(path, "[", i, "]"), prompts[i], limits, checker);
  }
}

void CheckPrompt(const std::string& field, const std::string& text, const Limits& limits,
                 FieldChecker& checker) {
  checker.Text(field, text, limits.max_prompt_bytes);
  if (auto error = PlaceholderError(text)) {
    checker.Add(field, *std::move(error), "UNKNOWN_PLACEHOLDER");
  }
}

void CheckPhotoFile(const std::string& field, absl::string_view bytes, FieldChecker& checker) {
  if (auto photo = likeness::CheckPhoto(bytes); !photo.ok()) {
    checker.Add(field, std::string(photo.message()), ErrorReason(photo));
  }
}

void CheckTokensDiffer(const v1::FineTuneSpec& spec, const std::string& default_token,
                       const std::string& path, FieldChecker& checker) {
  std::map<std::string, int> subjects;  // by their tokens in lower case
  for (int i = 0; i < spec.subjects_size(); ++i) {
    const bool by_default = i == 0 && !spec.subjects(i).has_token();
    const std::string& token = by_default ? default_token : spec.subjects(i).token();
    if (token.empty()) continue;
    const auto [same, added] = subjects.emplace(absl::AsciiStrToLower(token), i);
    if (added) continue;
    const std::string of = same->second == 0 && !spec.subjects(0).has_token()
                               ? absl::StrCat("the default token of ", spec.base_model(),
                                              ", which the first subject has because it names none")
                               : absl::StrCat("as of subjects[", same->second, "]");
    checker.Add(absl::StrCat(path, ".subjects[", i, "].token"),
                absl::StrCat("is \"", token, "\", ", of, "; each subject needs a token of its own"),
                "INVALID_TOKEN");
  }
}

void CheckFineTune(const v1::FineTuneSpec& spec, const std::string& path, const Limits& limits,
                   FieldChecker& checker) {
  checker.AtMost(path + ".subjects", spec.subjects_size(), "subjects", kMaxSubjects,
                 "TOO_MANY_SUBJECTS");
  if (spec.subjects_size() > kMaxSubjects) return;
  if (spec.subjects().empty()) CheckSubject({}, path + ".subjects[0]", limits, checker);
  for (int i = 0; i < spec.subjects_size(); ++i) {
    CheckSubject(spec.subjects(i), absl::StrCat(path, ".subjects[", i, "]"), limits, checker);
  }
  if (spec.subjects_size() > 1) CheckSeveral(spec, path, checker);
  CheckSubjectNumbers(spec, path, checker);
  CheckMethod(spec, path, checker);
  CheckTraining(spec.training(), path + ".training", limits, checker);
  if (PicksLowestValidationLoss(spec.training()) && !HasValidationPhotos(spec)) {
    checker.Add(path + ".training.stop_rule",
                absl::StrCat("is ", v1::StopRule_Name(spec.training().stop_rule()),
                             ", which needs validation_photos of a subject; there are none"),
                "NO_VALIDATION_PHOTOS");
  }
  for (const FieldViolation& violation : MemorySettingViolations(spec)) {
    checker.Add(absl::StrCat(path, ".", violation.field), violation.description, "OUT_OF_RANGE");
  }
  CheckPrior(spec.prior(), path + ".prior", limits, checker);
  if (spec.previews().has_every_steps()) {
    checker.Integer(path + ".previews.every_steps", spec.previews().every_steps(), 0,
                    limits.max_training_steps);
  }
  CheckPrompts(spec.previews().prompts(), path + ".previews.prompts", kMaxPreviewPrompts, limits,
               checker);
  CheckSamples(spec.samples(), path + ".samples", limits, checker);
  CheckJudges(spec.judge().measures(), spec.judge().evaluators(), path + ".judge", checker);
  const bool masks = MayHaveMasks(spec);
  for (int i = 0; i < spec.judge().measures_size(); ++i) {
    const std::string field = absl::StrCat(path, ".judge.measures[", i, "]");
    if (spec.judge().measures(i) == v1::MEASURE_RANK) {
      checker.Add(field, "is MEASURE_RANK, which needs a gallery; evaluate jobs alone have one",
                  "OUT_OF_RANGE");
    }
    if (spec.judge().measures(i) == v1::MEASURE_MASC && !masks) {
      checker.Add(field, "is MEASURE_MASC, which needs photos with masks", "OUT_OF_RANGE");
    }
  }
  if (!spec.output_model_id().empty() && !IsResourceId(spec.output_model_id())) {
    checker.Add(path + ".output_model_id", NotOfForm(spec.output_model_id(), kIdForm),
                "INVALID_NAME");
  }
}

std::vector<std::string> WarningsFor(const v1::FineTuneSpec& spec) {
  std::vector<std::string> warnings;
  for (int i = 0; i < spec.subjects_size(); ++i) {
    const v1::Subject& subject = spec.subjects(i);
    const std::string name = spec.subjects_size() > 1 ? absl::StrCat("subjects[", i, "]") : "";
    auto warning = PhotoCountWarning(subject.photos_size(), name);
    if (warning) warnings.push_back(*std::move(warning));
  }
  for (std::string& warning : ClassNounWarnings(spec)) warnings.push_back(std::move(warning));
  return warnings;
}

}  // namespace likeness::server
