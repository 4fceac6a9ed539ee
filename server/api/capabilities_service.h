// likeness.v1.CapabilitiesService.
#pragma once

#include "likeness/v1/capabilities_service.grpc.pb.h"
#include "server/api/method_table.h"
#include "server/jobs/job_store.h"
#include "server/jobs/limits.h"

namespace likeness::server {

class CapabilitiesServiceImpl {
 public:
  CapabilitiesServiceImpl(JobStore& jobs, const Limits& limits) : jobs_(jobs), limits_(limits) {}

  void AddTo(MethodTable& methods);

 private:
  absl::Status GetCapabilities(Caller& caller, const v1::GetCapabilitiesRequest* request,
                               v1::Capabilities* reply);

  JobStore& jobs_;
  const Limits limits_;
};

}  // namespace likeness::server
