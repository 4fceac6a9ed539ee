// Removes blobs that no job, event or model names.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

struct CollectPolicy {
  // How long a blob stays that nothing names: longer than any client or worker takes from an upload
  // to the call that names it. The checkpoint of a job that failed stays as long, for a retry.
  absl::Duration blob_grace = absl::Hours(24);
  // The same for a checkpoint from when the job has a later one or has succeeded.
  absl::Duration checkpoint_grace = absl::Minutes(10);
};

// Never removes a blob that is named all the while, or that was kept (see BlobStore) after
// now - blob_grace. UNAVAILABLE: BACKUP_RUNS.
absl::StatusOr<SweptBlobs> CollectBlobs(JobStore& jobs, BlobStore& blobs,
                                        const CollectPolicy& policy, absl::Time now);

// A job has no use for its checkpoint any more.
void ReleaseCheckpoint(BlobStore& blobs, const std::string& checkpoint, const CollectPolicy& policy,
                       absl::Time now);

}  // namespace likeness::server
