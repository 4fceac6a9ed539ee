// Erases the bytes of a subject, once the job store has forgotten its jobs and models.
#pragma once

#include "absl/time/time.h"
#include "likeness/v1/erasure.pb.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

// Erases those of `erased.blobs` that nothing else names and that were last kept before `now`, the
// date at which it was asked for. What cannot be erased is left to the collection of blobs.
absl::StatusOr<v1::Erasure> EraseBlobs(JobStore& jobs, BlobStore& blobs, const Erased& erased,
                                       absl::Time now);

}  // namespace likeness::server
