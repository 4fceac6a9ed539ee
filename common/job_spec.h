// Parts of a job's spec.
#pragma once

#include <string>

#include "likeness/v1/job.pb.h"

namespace likeness {

// The subject of a fine-tune, of which there is exactly one; an empty one if there is none.
inline const v1::Subject& SubjectOf(const v1::FineTuneSpec& spec) {
  return spec.subjects().empty() ? v1::Subject::default_instance() : spec.subjects(0);
}

// The same to be changed; made if there is none.
inline v1::Subject& MutableSubjectOf(v1::FineTuneSpec& spec) {
  return spec.subjects().empty() ? *spec.add_subjects() : *spec.mutable_subjects(0);
}

// As jobs and workers name the method: "dreambooth", "lora", "textual_inversion". A spec without
// one is of DreamBooth.
inline std::string MethodOf(const v1::FineTuneSpec& spec) {
  if (spec.has_lora()) return "lora";
  return spec.has_textual_inversion() ? "textual_inversion" : "dreambooth";
}

// Whether it makes an adapter of its base model, and no model of its own.
inline bool MakesAdapter(const v1::FineTuneSpec& spec) {
  return spec.has_lora() || spec.has_textual_inversion();
}

// The same of any job: "generate" for one that draws.
inline std::string MethodOf(const v1::Job& job) {
  return job.has_fine_tune() ? MethodOf(job.fine_tune()) : "generate";
}

inline bool TrainsTextEncoder(const v1::FineTuneSpec& spec) {
  return spec.dreambooth().train_text_encoder() || spec.lora().train_text_encoder();
}

}  // namespace likeness
