// The figures of the Prometheus page. No job or tenant is ever a label.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/job_store.h"
#include "server/metrics/store_operations.h"

namespace likeness::server {

// Thread-safe. Every family is made at the start: adding one later would race with a scrape.
class Metrics {
 public:
  Metrics();
  ~Metrics();

  void RpcBegins(absl::string_view method);
  // It ends.
  void ObserveRpc(absl::string_view method, absl::StatusCode code, absl::Duration took);
  // It failed, and not by its caller's fault.
  void ObserveFailure(absl::string_view method);
  void ObserveChange(const JobChange& change);
  void ObserveStore(StoreOperation operation, absl::Duration took);
  // From an event's commit to its hand-over to the network.
  void ObserveEventLag(absl::Duration lag);
  void ObserveUpload(int64_t bytes);
  void ObserveCollected(const SweptBlobs& swept);
  void ObserveScrubbed(int64_t bytes);
  // A call that was refused for who called or how much they took: the error's reason. Others are
  // not counted here.
  void ObserveRefusal(absl::string_view reason);
  void ObserveDownload(int64_t bytes);
  // One attempt of a call to a webhook; `outcome` is one of kWebhookOutcomes.
  void ObserveWebhook(absl::string_view outcome, absl::Duration took);
  void ObserveWebhookGivenUp();

  // What is read at each scrape.
  struct Snapshot {
    std::vector<JobCount> jobs;
    int64_t blob_bytes = 0;
    int64_t damaged_pages = 0;
    int64_t audit_lines = 0;  // that the audit log does not have yet
    int64_t damaged_blobs = 0;
    int64_t disk_free_bytes = 0;  // on the data directory's disk
    bool ready = true;
    int64_t webhook_calls = 0;  // that wait to be made
    TenantsAtQuota tenants_at_quota{};
    int64_t tenants_at_stored_bytes = 0;  // the same of blobs
  };

  // The page, in Prometheus' text format.
  std::string Page(const Snapshot& snapshot);

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace likeness::server
