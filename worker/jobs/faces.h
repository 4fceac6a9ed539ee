// Faces in the photos of subjects (Subject.crop; what is odd about photos of a person).
#pragma once

#include <string>
#include <vector>

#include "likeness/v1/fine_tune.pb.h"
#include "worker/evaluation/evaluator_files.h"
#include "worker/jobs/job_environment.h"

namespace likeness {

// Whether the class is one of people: "woman", "old man".
bool IsPerson(const std::string& class_noun);

// Gives photos without a crop box of subjects with SUBJECT_CROP_FACE the square around their
// largest face; one without a face stays as it is, with a warning. Warns of photos of a person with
// no face or several, where there is a face detector. Throws StatusError (FAILED_PRECONDITION,
// EVALUATOR_MISSING) where a subject asks for a detector that this worker does not have, Error
// where it cannot be loaded.
void LookForFaces(const std::vector<EvaluatorFiles>& found, v1::FineTuneSpec& spec,
                  JobEnvironment& environment);

}  // namespace likeness
