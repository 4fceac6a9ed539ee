// Parts of a job's spec.
#pragma once

#include <string>
#include <vector>

#include "likeness/v1/job.pb.h"

namespace likeness {

// How many images of the class MEASURE_PRES looks at, each before and after the training.
inline constexpr int kClassImagesJudged = 4;

// The subject of a fine-tune, of which there is exactly one; an empty one if there is none.
inline const v1::Subject& SubjectOf(const v1::FineTuneSpec& spec) {
  return spec.subjects().empty() ? v1::Subject::default_instance() : spec.subjects(0);
}

// The same to be changed; made if there is none.
inline v1::Subject& MutableSubjectOf(v1::FineTuneSpec& spec) {
  return spec.subjects().empty() ? *spec.add_subjects() : *spec.mutable_subjects(0);
}

// As jobs and workers name the method: as its field is named, such as "lora". A spec without one is
// of DreamBooth.
inline std::string MethodOf(const v1::FineTuneSpec& spec) {
  static const auto* const methods = v1::FineTuneSpec::descriptor()->FindOneofByName("method");
  const auto* method = spec.GetReflection()->GetOneofFieldDescriptor(spec, methods);
  return method == nullptr ? "dreambooth" : std::string(method->name());
}

// Whether it makes an adapter of its base model, and no model of its own.
inline bool MakesAdapter(const v1::FineTuneSpec& spec) {
  return spec.method_case() != v1::FineTuneSpec::kDreambooth &&
         spec.method_case() != v1::FineTuneSpec::METHOD_NOT_SET;
}

// The same of any job: "generate" for one that draws, "evaluate" for one that judges, "export" and
// "import".
inline std::string MethodOf(const v1::Job& job) {
  if (job.has_evaluate()) return "evaluate";
  if (job.has_export_model()) return "export";
  if (job.has_import_model()) return "import";
  return job.has_fine_tune() ? MethodOf(job.fine_tune()) : "generate";
}

inline bool TrainsTextEncoder(const v1::FineTuneSpec& spec) {
  return spec.dreambooth().train_text_encoder() || spec.lora().train_text_encoder();
}

// The model that a job draws with, judges or exports.
inline const v1::ModelSelection& SelectionOf(const v1::Job& job) {
  if (job.has_export_model()) return job.export_model().model();
  return job.has_evaluate() ? job.evaluate().model() : job.generate().model();
}

// All photos of a job with their masks, and the images that it starts from.
inline std::vector<const v1::Photo*> PhotosOf(const v1::Job& job) {
  std::vector<const v1::Photo*> photos;
  const auto add = [&photos](const auto& list) {
    for (const v1::Photo& photo : list) {
      photos.push_back(&photo);
      if (photo.has_mask()) photos.push_back(&photo.mask());
    }
  };
  add(job.evaluate().photos());
  add(job.evaluate().gallery());
  for (const v1::Subject& subject : job.fine_tune().subjects()) {
    add(subject.photos());
    add(subject.validation_photos());
  }
  add(job.fine_tune().prior().class_photos());
  const v1::ImageToImage& start = job.generate().image_to_image();
  if (start.has_image()) photos.push_back(&start.image());
  if (start.has_mask()) photos.push_back(&start.mask());
  return photos;
}

// Names of all blobs that a job is given: of its photos and of the file that it imports.
inline std::vector<std::string> InputBlobsOf(const v1::Job& job) {
  std::vector<std::string> blobs;
  for (const v1::Photo* photo : PhotosOf(job)) blobs.push_back(photo->blob());
  if (job.has_import_model()) blobs.push_back(job.import_model().blob());
  return blobs;
}

// PhotosOf, to be changed.
inline std::vector<v1::Photo*> MutablePhotosOf(v1::Job& job) {
  std::vector<v1::Photo*> photos;
  for (const v1::Photo* photo : PhotosOf(job)) photos.push_back(const_cast<v1::Photo*>(photo));
  return photos;
}

}  // namespace likeness
