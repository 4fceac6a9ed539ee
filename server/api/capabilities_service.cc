#include "server/api/capabilities_service.h"

#include "common/sampler_names.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "server/jobs/job_methods.h"

namespace likeness::server {
namespace {

constexpr int kMostBaseModels = 1000;

}  // namespace

void CapabilitiesServiceImpl::AddTo(MethodTable& methods) {
  methods.AddUnary(v1::CapabilitiesService::service_full_name(), "GetCapabilities", this,
                   &CapabilitiesServiceImpl::GetCapabilities);
}

absl::Status CapabilitiesServiceImpl::GetCapabilities(Caller& caller,
                                                      const v1::GetCapabilitiesRequest*,
                                                      v1::Capabilities* reply) {
  reply->set_version(Version());
  reply->set_tenant(caller.tenant);
  for (const std::string& method : JobMethods()) reply->add_methods(method);
  for (const auto& sampler : SamplerNames()) reply->add_samplers(std::string(sampler.name));
  ASSIGN_OR_RETURN(auto models, base_models_());
  for (v1::BaseModel& model : models) {
    if (reply->base_models_size() == kMostBaseModels) break;
    *reply->add_base_models() = std::move(model);
  }
  v1::Limits& limits = *reply->mutable_limits();
  limits.set_max_request_bytes(limits_.max_request_bytes);
  limits.set_max_blob_bytes(limits_.max_blob_bytes);
  limits.set_max_photos(limits_.max_photos);
  limits.set_max_prompt_bytes(limits_.max_prompt_bytes);
  limits.set_max_training_steps(limits_.max_training_steps);
  limits.set_max_images(limits_.max_images);
  return absl::OkStatus();
}

}  // namespace likeness::server
