// Drawing pictures while the caller waits.
#pragma once

#include <functional>
#include <stop_token>

#include "absl/status/statusor.h"
#include "client/lib/connection.h"

namespace likeness::client {

// Calls `on_event` with the job, its progress and each finished picture, and returns the job as it
// ended. A server that is UNAVAILABLE is not asked again: the pictures' job ends with the
// connection. CANCELLED: `stop` was requested; the server cancels the job.
absl::StatusOr<v1::Job> GenerateImages(
    const Connection& connection, const v1::GenerateImagesRequest& request,
    const std::function<void(const v1::GenerateImagesResponse&)>& on_event,
    std::stop_token stop = {});

}  // namespace likeness::client
