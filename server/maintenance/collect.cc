#include "server/maintenance/collect.h"

#include "common/status_macros.h"
#include "server/maintenance/blob_set.h"

namespace likeness::server {

absl::StatusOr<SweptBlobs> CollectBlobs(JobStore& jobs, BlobStore& blobs,
                                        const CollectPolicy& policy, absl::Time now) {
  const absl::Time before = now - policy.blob_grace;
  BlobSet named;
  RETURN_IF_ERROR(jobs.VisitBlobs([&](const NamedBlob& blob) {
    if (blob.needed_until >= before) named.Add(blob.name);
  }));
  return blobs.Sweep(before, [&](const BlobName& name) { return named.Contains(name); });
}

void ReleaseCheckpoint(BlobStore& blobs, const std::string& checkpoint, const CollectPolicy& policy,
                       absl::Time now) {
  const auto name = ParseBlobName(checkpoint);
  if (!name.ok()) return;
  blobs.KeptLast(*name, now - policy.blob_grace + policy.checkpoint_grace);
}

}  // namespace likeness::server
