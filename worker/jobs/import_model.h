#pragma once

#include "worker/catalog/model_facts.h"
#include "worker/jobs/run_job.h"

namespace likeness {

// The import job of `lease`: an adapter of a file that another program wrote. Before it is kept,
// it is laid over the base model for one pass. Throws as RunJob.
JobResult ImportModel(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop);

// `spec` with its defaults. `word`: that the file names, if it names one.
v1::ResolvedSpec ResolveImport(const v1::ImportSpec& spec, const ModelFacts& model,
                               const std::string& word);

}  // namespace likeness
