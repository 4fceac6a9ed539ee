// Parts of a job's spec.
#pragma once

#include <string>
#include <vector>

#include "likeness/v1/job.pb.h"

namespace likeness {

// How many images of the class MEASURE_PRES looks at, each before and after the training.
inline constexpr int kClassImagesJudged = 4;

using Photos = google::protobuf::RepeatedPtrField<v1::Photo>;

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

// The same of any job: "generate" for one that draws, "evaluate" for one that judges.
inline std::string MethodOf(const v1::Job& job) {
  if (job.has_evaluate()) return "evaluate";
  return job.has_fine_tune() ? MethodOf(job.fine_tune()) : "generate";
}

inline bool TrainsTextEncoder(const v1::FineTuneSpec& spec) {
  return spec.dreambooth().train_text_encoder() || spec.lora().train_text_encoder();
}

// What a job that draws or judges draws with.
inline const v1::ModelSelection& SelectionOf(const v1::Job& job) {
  return job.has_evaluate() ? job.evaluate().model() : job.generate().model();
}

// All photos of a job, list by list.
inline std::vector<const Photos*> PhotosOf(const v1::Job& job) {
  if (job.has_evaluate()) return {&job.evaluate().photos()};
  const v1::Subject& subject = SubjectOf(job.fine_tune());
  return {&subject.photos(), &subject.validation_photos()};
}

// The same to be changed.
inline std::vector<Photos*> MutablePhotosOf(v1::Job& job) {
  if (job.has_evaluate()) return {job.mutable_evaluate()->mutable_photos()};
  if (!job.has_fine_tune() || job.fine_tune().subjects().empty()) return {};
  v1::Subject& subject = *job.mutable_fine_tune()->mutable_subjects(0);
  return {subject.mutable_photos(), subject.mutable_validation_photos()};
}

}  // namespace likeness
