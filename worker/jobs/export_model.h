#pragma once

#include "worker/catalog/model_facts.h"
#include "worker/jobs/run_job.h"

namespace likeness {

inline constexpr char kExportDir[] = "export";  // of its files, among the outputs as on disk

// The export job of `lease`: a model with its adapters in a format of other programs. What was
// written is read back, compared key by key, and put through one pass of the denoiser beside the
// model itself before anything is kept. Throws as RunJob.
JobResult ExportModel(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop);

// `spec` with its defaults.
v1::ResolvedSpec ResolveExport(const v1::ExportSpec& spec, const ModelFacts& model);

// All files below "export/" in the scratch directory, as outputs.
std::vector<v1::Output> DescribeExport(const JobEnvironment& environment);

}  // namespace likeness
