#include "worker/jobs/run_job.h"

#include "worker/base/error.h"
#include "worker/jobs/evaluate.h"
#include "worker/jobs/export_model.h"
#include "worker/jobs/fine_tune.h"
#include "worker/jobs/generate.h"
#include "worker/jobs/import_model.h"
#include "worker/support/cache_trim.h"
#include "worker/support/guard.h"

namespace likeness {

namespace {

JobResult RunByKind(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop) {
  switch (lease.job().spec_case()) {
    case v1::Job::kFineTune:
      return FineTune(lease, environment, workshop);
    case v1::Job::kGenerate:
      return Generate(lease, environment, workshop);
    case v1::Job::kEvaluate:
      return Evaluate(lease, environment, workshop);
    case v1::Job::kExportModel:
      return ExportModel(lease, environment, workshop);
    case v1::Job::kImportModel:
      return ImportModel(lease, environment, workshop);
    case v1::Job::SPEC_NOT_SET:
      break;
  }
  throw Error(ErrorKind::kInvalidArgument, "the job has no spec that this worker knows");
}

}  // namespace

JobResult RunJob(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop) {
  JobResult result;
  const absl::Status status = Guard([&] { result = RunByKind(lease, environment, workshop); });
  // Whatever went wrong, the next job gets the model as it is on disk.
  if (!status.ok() && !absl::IsCancelled(status)) workshop.warm.Drop();
  TrimCache(workshop.class_image_cache, workshop.cache_bytes);
  ThrowIfError(status);
  return result;
}

}  // namespace likeness
