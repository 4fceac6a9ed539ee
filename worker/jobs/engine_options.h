// Resolved specs of the contract as what the engine takes. The one place where field meets field.
#pragma once

#include "likeness/v1/evaluate.pb.h"
#include "likeness/v1/fine_tune.pb.h"
#include "likeness/v1/generate.pb.h"
#include "worker/jobs/pictures.h"
#include "worker/jobs/prompts.h"
#include "worker/jobs/subject.h"
#include "worker/training/fine_tune_options.h"

namespace likeness {

// `photos`: of the subjects, in order; none where they are not needed.
FineTuneOptions ToFineTuneOptions(const v1::FineTuneSpec& resolved,
                                  const std::vector<SubjectPhotos>& photos);

PhotoRules PhotoRulesOf(const v1::FineTuneSpec& resolved, int image_size);

// The pictures drawn at the end of a fine-tune job.
PictureOrder SampleOrder(const v1::FineTuneSpec& resolved);

PictureOrder EvaluateOrder(const v1::EvaluateSpec& resolved, const PromptWords& words);

// What PRES looks at (docs/evaluation.md): "a {class}", drawn as `samples` but from seeds of its
// own, which nothing else is drawn from.
PictureOrder ClassOrder(PictureOrder samples, const PromptWords& words);

// words: of the personalized model that draws; empty for a base model. Without the image that it
// may start from (starting_image.h).
PictureOrder GenerateOrder(const v1::GenerateSpec& resolved, const PromptWords& words);

}  // namespace likeness
