// Photos for tests, made without an image library.
#pragma once

#include <string>

#include "likeness/v1/job_service.pb.h"

namespace likeness::testing {

// A PNG file whose header declares this size; complete as far as its chunks go.
std::string PngPhoto(int width = 64, int height = 64);

// A DreamBooth job of one inline photo of a dog.
v1::CreateJobRequest DogJob();

// A generate job of one prompt.
v1::CreateJobRequest PictureJob();

}  // namespace likeness::testing
