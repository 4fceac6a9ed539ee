// Erases the bytes of a subject, once the job store has forgotten its jobs and models.
#pragma once

#include "absl/status/status.h"
#include "likeness/v1/erasure.pb.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

// Erases those of `erased.blobs` that nothing else names and that were not kept since it was
// forgotten. What fails is left to EraseRest, and told as pending.
v1::Erasure EraseBlobs(JobStore& jobs, BlobStore& blobs, const Erased& erased);

// Erases what EraseBlobs has not come to: the server was stopped, or something failed.
absl::Status EraseRest(JobStore& jobs, BlobStore& blobs);

}  // namespace likeness::server
