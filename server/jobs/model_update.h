// What clients may change of a personalized model.
#pragma once

#include "absl/status/status.h"
#include "likeness/v1/model_service.pb.h"

namespace likeness::server {

// INVALID_ARGUMENT for fields that cannot be changed, and values that are not allowed.
absl::Status CheckModelUpdate(const v1::UpdateModelRequest& request);

// ABORTED (ETAG_MISMATCH). The request was checked.
absl::Status UpdateModel(const v1::UpdateModelRequest& request, v1::Model& model);

// Models of before version 1.0 have no etag until they are changed: the first one.
void CompleteModel(v1::Model& model);

}  // namespace likeness::server
