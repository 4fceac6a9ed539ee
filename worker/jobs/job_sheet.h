// The contact sheet of a fine-tune job: its photos, and under them what was drawn, each with its
// prompt and seed.
#pragma once

#include <vector>

#include "worker/jobs/job_environment.h"
#include "worker/jobs/pictures.h"
#include "worker/jobs/subject.h"

namespace likeness {

// Writes "contact-sheet.png" to the job's scratch directory, and describes it; nothing without
// pictures.
std::vector<v1::Output> WriteContactSheet(const SubjectPhotos& photos,
                                          const std::vector<Picture>& pictures,
                                          JobEnvironment& environment);

}  // namespace likeness
