// Parts of a job's spec.
#pragma once

#include "likeness/v1/fine_tune.pb.h"

namespace likeness {

// The subject of a fine-tune, of which there is exactly one; an empty one if there is none.
inline const v1::Subject& SubjectOf(const v1::FineTuneSpec& spec) {
  return spec.subjects().empty() ? v1::Subject::default_instance() : spec.subjects(0);
}

// The same to be changed; made if there is none.
inline v1::Subject& MutableSubjectOf(v1::FineTuneSpec& spec) {
  return spec.subjects().empty() ? *spec.add_subjects() : *spec.mutable_subjects(0);
}

}  // namespace likeness
