// Fields of the contract that no worker of this version knows what to do with yet.
#include "absl/strings/str_cat.h"
#include "common/job_spec.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {

void CheckUnsupported(const v1::Job& job, FieldChecker& checker) {
  const auto refuse = [&](bool used, absl::string_view field) {
    if (used) checker.Add(absl::StrCat("job.", field), "is not supported", "OUT_OF_RANGE");
  };
  // Training.
  const v1::FineTuneSpec& spec = job.fine_tune();
  const v1::Training& training = spec.training();
  refuse(training.aspect_ratio_buckets(), "fine_tune.training.aspect_ratio_buckets");
  // The judge.
  const auto newer = [](const auto& measures) {
    bool any = false;
    for (const int measure : measures) any = any || measure == v1::MEASURE_MASC;
    return any;
  };
  refuse(newer(job.evaluate().measures()), "evaluate.measures");
  refuse(newer(spec.judge().measures()), "fine_tune.judge.measures");
}

}  // namespace likeness::server
