// Fields of the contract that no worker of this version knows what to do with yet.
#include "absl/strings/str_cat.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {

void CheckUnsupported(const v1::Job& job, FieldChecker& checker) {
  const auto refuse = [&](bool used, absl::string_view field) {
    if (used) checker.Add(absl::StrCat("job.", field), "is not supported", "OUT_OF_RANGE");
  };
  refuse(job.fine_tune().training().aspect_ratio_buckets(),
         "fine_tune.training.aspect_ratio_buckets");
}

}  // namespace likeness::server
