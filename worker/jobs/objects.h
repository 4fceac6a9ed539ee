// What stands out in the photos of subjects (Subject.crop, Training.predicted_masks).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "likeness/v1/fine_tune.pb.h"
#include "worker/base/image.h"
#include "worker/evaluation/evaluator_files.h"
#include "worker/jobs/job_environment.h"

namespace likeness {

// Finds what stands out in a picture, as ObjectSegmenter::Segment; its errors name the evaluator.
using SubjectFinder = std::function<std::optional<Image>(const Image&)>;

// With the segmentation network among `found`; empty where there is none. Throws Error where it
// cannot be loaded.
SubjectFinder SubjectFinderAmong(const std::vector<EvaluatorFiles>& found);

// Looks at the photos of a job as they are decoded.
class ObjectFinder {
 public:
  // `found`: the worker's evaluators. Throws StatusError (FAILED_PRECONDITION, EVALUATOR_MISSING)
  // where the job asks for a network that this worker does not have, Error where it cannot be
  // loaded. `resumed`: crop boxes were chosen and warned of before. The environment outlives this.
  ObjectFinder(const std::vector<EvaluatorFiles>& found, const v1::FineTuneSpec& spec, bool resumed,
               JobEnvironment& environment);

  // Gives a photo without a crop box, of a subject with SUBJECT_CROP_OBJECT, the square around what
  // stands out; one in which nothing does stays as it is, with a warning. The result is the mask of
  // a photo without one, where Training.predicted_masks asks for it. As LookAtPhoto.
  std::optional<Image> Look(const v1::Subject& subject, const std::string& field,
                            const Image& whole, v1::Photo& photo);

 private:
  SubjectFinder find_;  // empty where nothing asks for it
  const bool masks_, resumed_;
  JobEnvironment& environment_;
};

}  // namespace likeness
