// Judging as part of a job, and the report of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "likeness/v1/job.pb.h"
#include "worker/evaluation/judge.h"
#include "worker/jobs/job_environment.h"
#include "worker/jobs/judge_settings.h"
#include "worker/jobs/phases.h"
#include "worker/jobs/pictures.h"
#include "worker/training/fine_tune_options.h"

namespace likeness {

inline constexpr char kReportFile[] = "report/evaluation.json";

// Phase kJudging. Evaluators and measures as resolved. The subject in drawn pictures is found by
// the segmentation network among `found`, where there is one; a warning says where that one fails,
// and only what needs it is left out.
Judgement JudgeInJob(const std::vector<EvaluatorFiles>& found, const Names& evaluators,
                     const ProtoMeasures& measures, Evidence evidence, WarmEvaluators& judges,
                     JobEnvironment& environment, Phases& phases);

// Where the best or the worst picture is withheld, neither is named.
void NameNoWithheld(const std::vector<Picture>& pictures, Judgement& judgement);

// Writes kReportFile to the job's scratch directory, and describes it. `pictures`: those that were
// judged; one that is withheld by now has no path.
v1::Output WriteReport(const Judgement& judgement, const std::vector<Picture>& pictures,
                       const Names& evaluators, JobEnvironment& environment);

// A job with these settings, as JSON.
std::string SettingsJson(const v1::ResolvedSpec& resolved);

// These point into what they are given.
std::vector<PictureToJudge> ToJudge(const std::vector<Picture>& pictures);
std::vector<const Image*> ImagesOf(const std::vector<Picture>& pictures);
std::vector<const Image*> ImagesOf(const std::vector<SubjectPhoto>& photos);
std::vector<const Image*> ImagesOf(const std::vector<Image>& images);
std::vector<const Image*> MasksOf(const std::vector<SubjectPhoto>& photos);  // null: none

}  // namespace likeness
