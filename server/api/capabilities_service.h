// likeness.v1.CapabilitiesService.
#pragma once

#include <utility>

#include "likeness/v1/capabilities_service.grpc.pb.h"
#include "server/api/method_table.h"
#include "server/api/worker_registry.h"
#include "server/jobs/limits.h"

namespace likeness::server {

class CapabilitiesServiceImpl {
 public:
  CapabilitiesServiceImpl(OfferedBaseModels base_models, const Limits& limits)
      : base_models_(std::move(base_models)), limits_(limits) {}

  void AddTo(MethodTable& methods);

 private:
  absl::Status GetCapabilities(Caller& caller, const v1::GetCapabilitiesRequest* request,
                               v1::Capabilities* reply);

  const OfferedBaseModels base_models_;
  const Limits limits_;
};

}  // namespace likeness::server
