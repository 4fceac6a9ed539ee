// The image that a generate job starts from.
#pragma once

#include <optional>

#include "likeness/v1/generate.pb.h"
#include "worker/generation/text_to_image.h"
#include "worker/jobs/job_environment.h"

namespace likeness {

// Image and mask as large as what is drawn; nothing where the job starts from noise alone.
// Throws StatusError (INVALID_ARGUMENT naming the field) for what cannot be used: PHOTO_UNUSABLE,
// or MASK_SIZE_DIFFERS where the mask has not as many pixels as the image.
std::optional<ImageToImage> FetchStartingImage(const v1::GenerateSpec& resolved,
                                               JobEnvironment& environment);

}  // namespace likeness
