// What a server does beside serving: what time makes necessary, and pages about itself.
#include <utility>

#include "absl/time/time.h"
#include "common/logging.h"
#include "server/blobs/filesystem/file.h"
#include "server/jobs/sqlite/checked_files.h"
#include "server/server_parts.h"

namespace likeness::server {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(250);
constexpr absl::Duration kHealthCheck = absl::Seconds(2);
constexpr int64_t kFullDisk = 2 << 20;  // blobs leave the last MiB to the job store
constexpr int kAuditLines = 1000;       // at a time
constexpr absl::Duration kUploadSweep = absl::Hours(1);

}  // namespace

// What a page of metrics says of the stores. A disk that hangs holds up one page at most: the
// others repeat the last one's numbers.
Metrics::Snapshot Server::Parts::LookAround() {
  const std::unique_lock page(page_mutex, std::try_to_lock);
  Metrics::Snapshot fresh;
  if (page && !health.has(Health::kDiskHangs)) {
    if (auto counts = jobs->CountJobs(); counts.ok()) fresh.jobs = *std::move(counts);
    if (auto count = jobs->CountWebhookCalls(); count.ok()) fresh.webhook_calls = *count;
    if (auto count = jobs->CountAuditLines(); count.ok()) fresh.audit_lines = *count;
    if (auto tenants = jobs->CountTenantsAtQuota(); tenants.ok()) {
      fresh.tenants_at_quota = *tenants;
    }
    fresh.tenants_at_stored_bytes = blob_quota->CountTenantsAtQuota();
    fresh.blob_bytes = blobs->total_bytes();
    fresh.damaged_blobs = blobs->damaged();
    fresh.disk_free_bytes = FreeDiskBytes(options.data_dir).value_or(0);
    std::lock_guard lock(snapshot_mutex);
    snapshot = fresh;
  } else {
    std::lock_guard lock(snapshot_mutex);
    fresh = snapshot;
  }
  fresh.damaged_pages = CountDamagedPages();
  fresh.ready = health.ready();
  return fresh;
}

void Server::Parts::CheckHealth() {
  health.Set(Health::kStoreFails, !jobs->CheckWritable().ok());
  const auto free = FreeDiskBytes(options.data_dir);
  health.Set(Health::kDiskFull, free.ok() && *free < kFullDisk);
  next_health_check = clock.Steady() + kHealthCheck;
}

// From the job store, where they were committed, into the audit log. A crash between the two lets a
// line come twice.
void Server::Parts::BringAuditLines() {
  if (!audit) return;
  for (bool more = true;;) {
    if (audit_brought) {  // or the same lines would be appended at every tick
      if (!jobs->DropAuditLines(*audit_brought).ok()) break;
      audit_brought.reset();
    }
    if (!more) break;
    const auto read = jobs->ReadAuditLines(kAuditLines);
    if (!read.ok() || read->lines.empty()) break;
    if (auto brought = audit->Append(read->lines); !brought.ok()) {
      LogError("audit lines wait", {{"error", brought.message()}});
      break;
    }
    audit_brought = read->last;
    more = read->lines.size() == kAuditLines;
  }
  audit->Sync();
}

// What time alone makes necessary.
void Server::Parts::Tick() {
  (void)jobs->FollowDate();  // tried again at the next tick
  if (auto expired = jobs->ExpireLeases(); expired.ok() && *expired > 0) {
    LogWarning("leases lost", {{"count", *expired}});
  }
  if (auto timed_out = jobs->TimeOutJobs(); timed_out.ok() && *timed_out > 0) {
    LogInfo("jobs timed out", {{"count", *timed_out}});
  }
  if (auto swept = jobs->Sweep(); swept.ok() && swept->jobs + swept->events > 0) {
    LogInfo("forgot what retention does not keep",
            {{"jobs", swept->jobs}, {"events", swept->events}});
  }
  authenticator->ReloadIfChanged();
  if (tls) tls->ReloadIfChanged();
  BringAuditLines();
  lease_queue.PublishByTime();  // a back-off may have ended
  const absl::Time now = clock.Steady();
  if (now >= next_health_check) CheckHealth();
  if (now < next_upload_sweep) return;
  next_upload_sweep = now + kUploadSweep;
  if (auto dropped = blobs->DropUploads(clock.Now() - kUploadLifetime);
      dropped.ok() && *dropped > 0) {
    LogInfo("forgot stale uploads", {{"count", *dropped}});
  }
}

void Server::Parts::TickLater() {
  housekeeping->RunAfter(kTick, [this] {
    housekeeping->Run("", [this] {
      Tick();
      watchdog->Beat();
      TickLater();
    });
  });
}

}  // namespace likeness::server
