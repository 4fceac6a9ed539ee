// Faces in the photos of subjects (Subject.crop; what is odd about photos of a person).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "likeness/v1/fine_tune.pb.h"
#include "worker/base/image.h"
#include "worker/evaluation/evaluator_files.h"
#include "worker/images/face_detector.h"
#include "worker/jobs/job_environment.h"

namespace likeness {

// Whether the class is one of people: "woman", "old man".
bool IsPerson(const std::string& class_noun);

// Looks at the photos of a job as they are decoded.
class FaceFinder {
 public:
  // `found`: the worker's evaluators. Throws StatusError (FAILED_PRECONDITION, EVALUATOR_MISSING)
  // where a subject asks for a detector that this worker does not have, Error where it cannot be
  // loaded. The environment outlives this.
  FaceFinder(const std::vector<EvaluatorFiles>& found, const v1::FineTuneSpec& spec,
             JobEnvironment& environment);

  // Gives a photo without a crop box, of a subject with SUBJECT_CROP_FACE, the square around its
  // largest face; one without a face stays as it is, with a warning. Warns of a photo of a person
  // that is learned from and shows no face or several, where there is a face detector. As
  // LookAtPhoto.
  void Look(const v1::Subject& subject, bool validation, const std::string& field,
            const Image& whole, v1::Photo& photo);

 private:
  // As FaceDetector::Detect, its errors with the evaluator's name; empty where no subject has it
  // looked for faces.
  std::function<std::vector<Face>(const Image&)> detect_;
  JobEnvironment& environment_;
};

}  // namespace likeness
