// What can be said against a job, or is odd about it, once its model is known and before anything
// is computed: what a model with these settings would fail at after hours of training it fails at
// here.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "likeness/v1/evaluate.pb.h"
#include "likeness/v1/fine_tune.pb.h"
#include "likeness/v1/generate.pb.h"
#include "worker/jobs/job_environment.h"
#include "worker/jobs/prompts.h"

namespace likeness {

class Family;

// Resolved specs. Throws StatusError (INVALID_ARGUMENT naming the field) for what cannot be done;
// what is odd becomes a warning of the job: prompts that are longer than the text encoder reads,
// placeholders that stand for nothing, a class noun with its article.
void CheckFineTune(const v1::FineTuneSpec& spec, const Family& model, JobEnvironment& environment);
// Throws StatusError (FAILED_PRECONDITION naming the file) for a base model with a file whose name
// no output of a job may have: it is part of what the job makes.
void CheckFileNames(const std::filesystem::path& base_model, const v1::FineTuneSpec& spec);
// The same of any model of whose files all are part but weights in the folders `changed`.
void CheckFileNames(const std::filesystem::path& model, const std::vector<std::string>& changed);
void CheckEvaluate(const v1::EvaluateSpec& spec, const PromptWords& words, const Family& model,
                   JobEnvironment& environment);
// words: of the personalized model that draws; empty for a base model.
void CheckGenerate(const v1::GenerateSpec& spec, const PromptWords& words, const Family& model,
                   JobEnvironment& environment);

}  // namespace likeness
