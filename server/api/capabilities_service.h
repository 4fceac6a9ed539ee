// likeness.v1.CapabilitiesService.
#pragma once

#include "likeness/v1/capabilities_service.grpc.pb.h"
#include "server/api/front.h"
#include "server/jobs/job_store.h"
#include "server/jobs/limits.h"

namespace likeness::server {

class CapabilitiesServiceImpl final : public v1::CapabilitiesService::CallbackService {
 public:
  CapabilitiesServiceImpl(Front& front, JobStore& jobs, const Limits& limits)
      : front_(front), jobs_(jobs), limits_(limits) {}

  grpc::ServerUnaryReactor* GetCapabilities(grpc::CallbackServerContext* context,
                                            const v1::GetCapabilitiesRequest* request,
                                            v1::Capabilities* reply) override;

 private:
  Front& front_;
  JobStore& jobs_;
  const Limits limits_;
};

}  // namespace likeness::server
