// The subject of a fine-tune job, as the recipe wants it: photos decoded, cropped and resized, the
// token looked at.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/photo_look.h"
#include "likeness/v1/fine_tune.pb.h"
#include "worker/jobs/job_environment.h"
#include "worker/tokenizers/clip_tokenizer.h"
#include "worker/training/fine_tune_options.h"

namespace likeness {

struct SubjectPhotos {
  std::vector<SubjectPhoto> training;
  std::vector<SubjectPhoto> validation;
};

// What photos are made of.
struct PhotoRules {
  int image_size = 0;                 // pixels, of the sides of squares
  bool aspect_ratio_buckets = false;  // photos are of BucketSizes (worker/images/buckets.h) instead
  bool alpha_masks = false;           // a photo's transparency is its mask, where it has no mask
  double unmasked_weight = 0;         // of the loss outside of masks
  bool micro_conditioning = false;    // photos have SubjectPhoto::micro_conditioning
};

// Sees each photo of a subject as it is decoded, upright, before it is cut; may give it a crop box,
// and a mask (the result, of the photo's size) where it has none of its own. `validation`: it is
// one of the validation photos. `field` names it in messages. What it throws ends the fetching.
using LookAtPhoto = std::function<std::optional<Image>(const v1::Subject& subject, bool validation,
                                                       const std::string& field, const Image& whole,
                                                       v1::Photo& photo)>;

// Photos of image_size x image_size pixels, or in buckets, and their masks, cut alike. Oddities
// become warnings of the job. Throws StatusError (INVALID_ARGUMENT naming the field, e.g.
// "job.fine_tune.subjects[0].photos[2]") for a photo that cannot be used; MASK_SIZE_DIFFERS for a
// mask of another size than its photo, MASK_EMPTY for one that is black all over within the cut.
// `looks`: if not null, filled with those of the photos to learn from, whole or as far as their
// boxes go. `path`: of the subject in the request.
SubjectPhotos FetchPhotos(v1::Subject subject, const PhotoRules& rules, JobEnvironment& environment,
                          std::vector<NamedLook>* looks = nullptr,
                          const std::string& path = "job.fine_tune.subjects[0].");

// Those of every subject, in order, and warnings of how they look. Errors as above. The spec has
// the crop boxes that `look` gave.
std::vector<SubjectPhotos> FetchAllPhotos(v1::FineTuneSpec& spec, const PhotoRules& rules,
                                          JobEnvironment& environment,
                                          const LookAtPhoto& look = {});

// The photos that the class is kept with, square, in place of class images; none where nothing is
// learned of them. Errors as above, naming "job.fine_tune.prior.class_photos[2]".
std::vector<SubjectPhoto> FetchClassPhotos(const v1::FineTuneSpec& resolved, int image_size,
                                           JobEnvironment& environment);

// What prompts call that subject of the spec: "zwx dog".
std::string SubjectName(const v1::FineTuneSpec& spec, int subject);

// Throws StatusError (INVALID_ARGUMENT: TOKEN_NOT_SINGLE) if a single token is required and the
// token is cut into more; warns about a token that the model already knows as a word. `field`: the
// subject's, "job.fine_tune.subjects[0]".
void CheckToken(const v1::Subject& subject, const std::string& field,
                const ClipTokenizer& tokenizer, JobEnvironment& environment);

}  // namespace likeness
