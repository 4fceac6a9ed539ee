// --adapter NAME or NAME:STRENGTH.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/lib/connection.h"
#include "likeness/v1/model.pb.h"

namespace likeness::client {

// Adds each of `arguments` to the selection. INVALID_ARGUMENT names one that cannot be read.
absl::Status AddAdapters(const Connection& connection, const std::vector<std::string>& arguments,
                         v1::ModelSelection& selection);

}  // namespace likeness::client
