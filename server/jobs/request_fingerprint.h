// Tells whether a request that is repeated under its request_id is the same.
#pragma once

#include <string>

#include "likeness/v1/job_service.pb.h"

namespace likeness::server {

// Equal for requests of equal content. The job's output-only fields and its name, which are ignored
// in requests, do not count.
std::string RequestFingerprint(v1::CreateJobRequest request);

}  // namespace likeness::server
