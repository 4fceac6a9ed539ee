// Photos of a job, from blobs to pictures.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "google/protobuf/repeated_field.h"
#include "likeness/v1/image.pb.h"
#include "worker/base/image.h"
#include "worker/base/micro_conditioning.h"
#include "worker/images/crop.h"
#include "worker/images/decode.h"
#include "worker/jobs/job_environment.h"

namespace likeness {

// Photos whose colours were converted, by what from: "Display P3" -> "photos[0]", "photos[2]".
using Conversions = std::map<std::string, std::vector<std::string>>;

// What `use` makes of the photo. `field` names the photo in messages; its place in the request is
// `path` and this. Throws StatusError (INVALID_ARGUMENT: PHOTO_UNUSABLE) where it cannot be
// decoded, or `use` throws Error(kInvalidArgument).
Image FetchPhotoFile(const v1::Photo& photo, const std::string& path, const std::string& field,
                     JobEnvironment& environment, Conversions& conversions,
                     const std::function<Image(const DecodedPhoto& photo)>& use);

// What `cut` makes of the mask of a picture that is `width` x `height` pixels large when it is
// upright: a grey picture, as Pillow makes it grey. Errors as above, and MASK_SIZE_DIFFERS where
// the mask has another size.
Image FetchMaskFile(const v1::Photo& mask, const std::string& path, const std::string& field,
                    int width, int height, JobEnvironment& environment,
                    const std::function<Image(const Image& whole)>& cut);

// Square pictures of `image_size` pixels a side: the middles of the photos, or of their crop boxes.
// `list`: the field of the photos in messages; its place in the request is `path` and this. `cuts`:
// if not null, filled with how each became of its size.
std::vector<Image> FetchSquarePhotos(const google::protobuf::RepeatedPtrField<v1::Photo>& photos,
                                     const std::string& path, const std::string& list,
                                     int image_size, JobEnvironment& environment,
                                     std::vector<MicroConditioning>* cuts = nullptr);

std::optional<CropBox> CropBoxOf(const v1::Photo& photo);

// One warning for each kind, which names the first few photos.
void WarnOfConversions(const Conversions& conversions, JobEnvironment& environment);

}  // namespace likeness
