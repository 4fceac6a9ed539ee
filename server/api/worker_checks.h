// What a worker's requests must be like, whatever the state of its lease.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/map.h"
#include "likeness/v1/worker_service.pb.h"
#include "server/blobs/blob_store.h"

namespace likeness::server {

bool IsWorkerName(absl::string_view name);

absl::Status CheckOffer(const v1::AcquireLeaseRequest& request);

// FAILED_PRECONDITION (BLOB_NOT_FOUND) when a blob that is named is not stored or is not the job's
// tenant's, here and below.
absl::Status CheckHeartbeat(const v1::HeartbeatRequest& request, const std::string& tenant,
                            BlobStore& blobs);
absl::Status CheckOutcome(const v1::CompleteLeaseRequest& request, const std::string& tenant,
                          BlobStore& blobs);
absl::Status CheckFailure(const v1::FailLeaseRequest& request);

// Clears measurements that are NaN or infinite, which are no numbers in JSON; returns their names.
// One of a training step takes the others of that step with it.
std::vector<std::string> DropNotFinite(v1::Progress& progress);
std::vector<std::string> DropNotFinite(google::protobuf::Map<std::string, double>& metrics);

}  // namespace likeness::server
