#include "server/jobs/erasure.h"

#include <set>
#include <string>
#include <vector>

#include "common/logging.h"
#include "common/status_macros.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {

absl::StatusOr<v1::Erasure> EraseBlobs(JobStore& jobs, BlobStore& blobs, const Erased& erased,
                                       absl::Time now) {
  v1::Erasure report;
  report.mutable_jobs()->Assign(erased.jobs.begin(), erased.jobs.end());
  for (const v1::LeasedModel& model : erased.models) report.add_models(model.name());
  std::set<std::string> left(erased.blobs.begin(), erased.blobs.end());
  const auto named = static_cast<int64_t>(left.size());
  RETURN_IF_ERROR(
      jobs.VisitBlobs([&](const NamedBlob& blob) { left.erase(blob.name.ToString()); }));
  report.set_shared_blobs(named - static_cast<int64_t>(left.size()));

  std::vector<BlobName> names;
  for (const std::string& text : left) {
    ASSIGN_OR_RETURN(names.emplace_back(), ParseBlobName(text));
  }
  const auto swept = blobs.Erase(names, now);
  if (!swept.ok()) {
    // The jobs and models are gone: their blobs go with the next collection.
    LogWarning("blobs not erased yet", {{"error", swept.status().ToString()}});
  } else {
    report.set_erased_blobs(swept->blobs);
    report.set_erased_bytes(swept->bytes);
  }
  for (const BlobName& name : names) {
    report.set_pending_blobs(report.pending_blobs() + blobs.Open(name).ok());
  }
  *report.mutable_erase_time() = ToProto(now);
  return report;
}

}  // namespace likeness::server
