#include "server/jobs/job_record.h"

namespace likeness::server {

std::string MethodOf(const v1::Job& job) { return job.has_fine_tune() ? "dreambooth" : "generate"; }

const std::string& ModelOf(const v1::Job& job) {
  return job.has_fine_tune() ? job.fine_tune().base_model() : job.generate().model();
}

std::vector<std::string> SamplersOf(const v1::Job& job) {
  std::vector<std::string> samplers;
  auto add = [&](bool said, const std::string& sampler) {
    if (said) samplers.push_back(sampler);
  };
  if (job.has_fine_tune()) {
    const auto& spec = job.fine_tune();
    add(spec.prior().has_sampler(), spec.prior().sampler());
    add(spec.samples().has_sampler(), spec.samples().sampler());
  } else {
    add(job.generate().has_sampler(), job.generate().sampler());
  }
  return samplers;
}

}  // namespace likeness::server
