// The last phase of a job: what it made is brought to where it is kept.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "worker/jobs/job_environment.h"
#include "worker/jobs/phases.h"

namespace likeness {

// Phase kUploading. Keeps all of `result`, then as much of `extras` as can be kept; what cannot
// becomes a warning. Files lie at their paths below the scratch directory. Returns what is kept, in
// this order. Throws where a part of the result cannot be kept, and when the environment asks to
// stop.
std::vector<v1::Output> KeepOutputs(const std::vector<v1::Output>& result,
                                    const std::vector<v1::Output>& extras,
                                    JobEnvironment& environment, Phases& phases);

// The files of a directory as outputs below `name`. Those that a model shares with its base were
// read when that was loaded.
std::vector<v1::Output> DescribeDirectory(const std::filesystem::path& directory,
                                          const std::string& name, v1::OutputKind kind);
// Of a model, below "model/".
std::vector<v1::Output> DescribeModel(const std::filesystem::path& directory);

// For what is made after a model and is worth less than the model: runs `make`, and returns why it
// failed. Throws StatusError where the job itself is at an end: it was asked to stop, or its lease
// is lost.
absl::Status Attempt(JobEnvironment& environment, const std::function<void()>& make);

}  // namespace likeness
