// A blob as a client reads it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/channel.h"

namespace likeness::testing {

// Of the tenant `default`, from `offset` on; `limit`: at most so many bytes, 0: all.
absl::StatusOr<std::string> ReadBlob(const std::shared_ptr<grpc::Channel>& channel,
                                     const std::string& digest, int64_t offset = 0,
                                     int64_t limit = 0);

}  // namespace likeness::testing
