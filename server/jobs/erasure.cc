#include "server/jobs/erasure.h"

#include <map>
#include <string>
#include <vector>

#include "common/logging.h"
#include "common/status_macros.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

constexpr int kAtOnce = 10'000;

// Counts in `report`. Of `left` stays what is named by nothing else.
absl::Status EraseAll(JobStore& jobs, BlobStore& blobs, const std::vector<BlobToErase>& all,
                      std::map<std::string, absl::Time>& left, v1::Erasure& report) {
  for (const BlobToErase& blob : all) left[blob.name] = blob.time;
  RETURN_IF_ERROR(
      jobs.VisitBlobs([&](const NamedBlob& blob) { left.erase(blob.name.ToString()); }));
  report.set_shared_blobs(std::ssize(all) - std::ssize(left));
  std::map<absl::Time, std::vector<BlobName>> by_time;
  for (const auto& [text, time] : left) {
    ASSIGN_OR_RETURN(by_time[time].emplace_back(), ParseBlobName(text));
  }
  for (const auto& [time, names] : by_time) {
    ASSIGN_OR_RETURN(const SweptBlobs swept, blobs.Erase(names, time));
    report.set_erased_blobs(report.erased_blobs() + swept.blobs);
    report.set_erased_bytes(report.erased_bytes() + swept.bytes);
  }
  // What is still there is needed by somebody, or goes with the next collection.
  return jobs.DropBlobsToErase(all);
}

}  // namespace

v1::Erasure EraseBlobs(JobStore& jobs, BlobStore& blobs, const Erased& erased) {
  v1::Erasure report;
  report.mutable_jobs()->Assign(erased.jobs.begin(), erased.jobs.end());
  report.mutable_models()->Assign(erased.models.begin(), erased.models.end());
  std::vector<BlobToErase> all;
  for (const std::string& name : erased.blobs) all.push_back({name, erased.time});
  std::map<std::string, absl::Time> left;
  // The jobs and models are gone, whatever becomes of their blobs for now.
  if (const auto status = EraseAll(jobs, blobs, all, left, report); !status.ok()) {
    LogWarning("blobs not erased yet", {{"error", status}});
  }
  for (const auto& [text, time] : left) {
    const auto name = ParseBlobName(text);
    report.set_pending_blobs(report.pending_blobs() + (name.ok() && blobs.Open(*name).ok()));
  }
  *report.mutable_erase_time() = ToProto(erased.time);
  return report;
}

absl::Status EraseRest(JobStore& jobs, BlobStore& blobs) {
  for (;;) {
    ASSIGN_OR_RETURN(const auto all, jobs.BlobsToErase(kAtOnce));
    if (all.empty()) return absl::OkStatus();
    std::map<std::string, absl::Time> left;
    v1::Erasure report;
    RETURN_IF_ERROR(EraseAll(jobs, blobs, all, left, report));
    LogInfo("blobs of erased subjects erased",
            {{"blobs", report.erased_blobs()}, {"bytes", report.erased_bytes()}});
  }
}

}  // namespace likeness::server
