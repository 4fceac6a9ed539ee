// The judge of Training.stop_rule: which step's weights make the model.
#pragma once

#include <string>
#include <vector>

#include "likeness/v1/fine_tune.pb.h"
#include "worker/evaluation/evaluator_files.h"
#include "worker/jobs/job_environment.h"
#include "worker/jobs/judge_settings.h"
#include "worker/jobs/subject.h"
#include "worker/training/fine_tune_options.h"

namespace likeness {

// Throws StatusError (FAILED_PRECONDITION, EVALUATOR_MISSING) where the spec asks for the best step
// and the evaluators that the judge names, or the general ones, cannot say how well a subject is
// recognised and prompts are obeyed; Error where one of them cannot be loaded.
void CheckStepJudge(const std::vector<EvaluatorFiles>& found, const v1::FineTuneSpec& spec,
                    WarmEvaluators& judges);

// Where a job goes on from a checkpoint. Throws StatusError (UNAVAILABLE, EVALUATORS_DIFFER), after
// which another worker may take it, where this one lacks what judges in the job.
void CheckResumedJudges(const std::vector<EvaluatorFiles>& found, const v1::FineTuneSpec& spec);

// The spec then names the evaluators by which steps are compared: a job that goes on elsewhere is
// judged by the same. Errors of CheckStepJudge.
void NameStepJudges(const std::vector<EvaluatorFiles>& found, v1::FineTuneSpec& spec);

// What the pictures that a step is judged from are drawn of: kStepImagesJudged prompts, none of
// which the job reports on.
std::vector<std::string> StepPrompts(const v1::FineTuneSpec& spec);

// How the steps of a job are compared: by subject fidelity (DINO; CLIP-I where there is none) plus
// prompt fidelity (CLIP-T) of pictures that are drawn as the samples are, but of prompts and from
// seeds that no other figure uses. Empty where the last step's weights make the model. Loads the
// evaluators. The photos outlive it.
StepSelection StepSelectionOf(const std::vector<EvaluatorFiles>& found,
                              const v1::FineTuneSpec& spec, const SubjectPhotos& photos,
                              WarmEvaluators& judges, JobEnvironment& environment);

// Scores previews, one of each of `prompts`, by the job's own evaluators and measures, as far as
// these say how well a subject is recognised and prompts are obeyed. Null where the job is not
// judged, or its checkpoints are: scores of other pictures would not compare with theirs. On an
// accelerator the evaluators are there only while they look. The photos, `judges` and the
// environment outlive it.
PictureJudge PreviewJudgeOf(const std::vector<EvaluatorFiles>& found, const v1::FineTuneSpec& spec,
                            const std::vector<std::string>& prompts, const SubjectPhotos& photos,
                            WarmEvaluators& judges, JobEnvironment& environment);

}  // namespace likeness
