// Which networks judge in a job, by which measures.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "likeness/v1/fine_tune.pb.h"
#include "likeness/v1/model.pb.h"
#include "worker/evaluation/evaluator_files.h"
#include "worker/evaluation/warm_evaluators.h"
#include "worker/jobs/job_environment.h"
#include "worker/jobs/prompts.h"

namespace likeness {

using ProtoMeasures = google::protobuf::RepeatedField<int>;  // of v1::Measure
using Names = google::protobuf::RepeatedPtrField<std::string>;

// Measures that a job is not judged by unless it names them: what they need is not there.
using UnlessNamed = std::set<int>;  // of v1::Measure

// Fills in `evaluators` and `measures` where they are empty: all general evaluators, all that these
// can measure, but for `unless_named`. Throws StatusError (FAILED_PRECONDITION, EVALUATOR_MISSING)
// for an evaluator that is not among `found`, and for a measure that none of them has.
void ResolveJudges(const std::vector<EvaluatorFiles>& found, Names& evaluators,
                   ProtoMeasures& measures, const UnlessNamed& unless_named = {});

// Of measures that the job names and that the judged pictures and photos did not allow.
void WarnOfUnmeasured(const ProtoMeasures& named, const std::map<std::string, double>& metrics,
                      JobEnvironment& environment);

// Measures of the pictures whose prompts name the subject.
const UnlessNamed& MeasuresOfSubject();

// `prompts` filled in. True for words without a token too: nothing is known of whom prompts name.
bool AnyNamesSubject(const std::vector<std::string>& prompts, const PromptWords& words);

// The words with the token and class noun of the subject that photos beside the prompts are taken
// to show: the first of the model's subjects that a prompt names; the first where none is named.
PromptWords JudgedWords(const PromptWords& words, const std::vector<std::string>& prompts);

// Where no prompt names the subject: throws StatusError (INVALID_ARGUMENT) if one of
// MeasuresOfSubject is among the measures, or nothing is. `path`: of the judge's fields,
// "job.evaluate.".
void CheckMeasuresWithoutSubject(const ProtoMeasures& measures, const PromptWords& words,
                                 const std::string& path);

// Reads the evaluators' settings and the shapes of their weights. Throws Error where one of them
// cannot be loaded: known before hours of computing, not after.
void CheckJudges(const std::vector<EvaluatorFiles>& found, const Names& evaluators,
                 WarmEvaluators& judges);

// Both for a fine-tune: nothing is judged without samples, nor where evaluators are missing or
// cannot be loaded and the job does not ask for the judge itself.
void ResolveJudge(const std::vector<EvaluatorFiles>& found, v1::FineTuneSpec& spec,
                  WarmEvaluators& judges, JobEnvironment& environment);

// Adds what judges pictures of the model unless a job says otherwise; `recommended`: by the model.
// Behind AddDefaults.
void AddEvaluators(const std::vector<EvaluatorFiles>& found, const Names& recommended,
                   v1::BaseModel& offer);

bool Includes(const ProtoMeasures& measures, v1::Measure measure);
std::set<Measure> ToMeasures(const ProtoMeasures& measures);

// Throws StatusError (FAILED_PRECONDITION, EVALUATOR_MISSING).
[[noreturn]] void RefuseMissing(const std::string& why);

// `names` are those of the chosen ones, and no others.
void NameEvaluators(const std::vector<EvaluatorFiles>& chosen, Names& names);

// ChooseEvaluators. Throws StatusError (FAILED_PRECONDITION, EVALUATOR_MISSING).
std::vector<EvaluatorFiles> ChooseForJob(const std::vector<EvaluatorFiles>& found,
                                         const Names& names);

}  // namespace likeness
