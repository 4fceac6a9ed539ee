// gRPC server reflection (v1alpha, which grpcurl and the like speak) over the descriptions that are
// compiled in. gRPC's own holds a thread for each open stream.
#pragma once

#include <string>
#include <vector>

#include "server/api/method_table.h"
#include "server/api/open_calls.h"

namespace likeness::server {

class ReflectionService {
 public:
  // Must outlive the calls. `services`: full names of those that are served.
  ReflectionService(OpenCalls& open_calls, std::vector<std::string> services)
      : open_calls_(open_calls), services_(std::move(services)) {}

  void AddTo(MethodTable& methods);

 private:
  class Stream;

  OpenCalls& open_calls_;
  const std::vector<std::string> services_;
};

}  // namespace likeness::server
