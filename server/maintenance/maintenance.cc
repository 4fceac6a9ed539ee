#include "server/maintenance/maintenance.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/logging.h"
#include "server/jobs/erasure.h"
#include "server/maintenance/scrub.h"

namespace likeness::server {
namespace {

constexpr absl::Duration kLook = absl::Seconds(10);       // for what has become due
constexpr absl::Duration kNoteEvery = absl::Seconds(30);  // the scrub's place

// Where a scrub stands: when it began, and the last blob that it read; "" once it is done.
struct Place {
  int64_t begun = 0;  // seconds since 1970
  std::string after;
};

Place ReadPlace(const std::string& path) {
  Place place;
  std::ifstream file(path);
  file >> place.begun >> place.after;
  return place;
}

// Losing it costs reading some blobs again.
void WritePlace(const std::string& path, const Place& place) {
  const std::string fresh = path + ".new";
  std::ofstream(fresh) << place.begun << ' ' << place.after << '\n';
  (void)std::rename(fresh.c_str(), path.c_str());
}

}  // namespace

Maintenance::Maintenance(JobStore& jobs, BlobStore& blobs, Metrics& metrics, const Clock& clock,
                         const MaintenanceOptions& options, std::string place)
    : jobs_(jobs),
      blobs_(blobs),
      metrics_(metrics),
      clock_(clock),
      options_(options),
      place_(std::move(place)),
      next_collect_(options.collect_every > absl::ZeroDuration()
                        ? clock.Steady() + options.collect_every
                        : absl::InfiniteFuture()),
      thread_([this] { Loop(); }) {}

Maintenance::~Maintenance() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Maintenance::CollectNow() {
  {
    std::lock_guard lock(mutex_);
    collect_asked_ = true;
  }
  wake_.notify_one();
}

void Maintenance::Release(std::string checkpoint) {
  std::lock_guard lock(mutex_);
  released_.push_back(std::move(checkpoint));  // soon enough at the next look
}

void Maintenance::Loop() {
  EraseRest();
  while (Wait(kLook)) Scrub();
}

bool Maintenance::Wait(absl::Duration duration) {
  const auto end = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(duration);
  for (;;) {
    std::vector<std::string> released;
    bool collect = false;
    {
      std::unique_lock lock(mutex_);
      const bool woken =
          wake_.wait_until(lock, end, [this] { return stopping_ || collect_asked_; });
      if (stopping_) return false;
      released.swap(released_);
      collect = std::exchange(collect_asked_, false) || clock_.Steady() >= next_collect_;
      if (!woken && !collect && released.empty()) return true;
    }
    for (const std::string& checkpoint : released) {
      ReleaseCheckpoint(blobs_, checkpoint, options_.collect, clock_.Now());
    }
    if (collect) Collect();
  }
}

void Maintenance::EraseRest() {
  if (auto status = server::EraseRest(jobs_, blobs_); !status.ok()) {
    LogWarning("blobs of erased subjects not erased yet", {{"error", status.message()}});
  }
}

void Maintenance::Collect() {
  EraseRest();
  const absl::Time start = clock_.Now();
  if (options_.collect_every > absl::ZeroDuration()) {
    next_collect_ = clock_.Steady() + options_.collect_every;
  }
  const auto swept = CollectBlobs(jobs_, blobs_, options_.collect, start);
  if (!swept.ok()) {
    LogWarning("blobs not collected", {{"error", swept.status().message()}});
    return;
  }
  metrics_.ObserveCollected(*swept);
  LogInfo("blobs collected", {{"blobs", swept->blobs},
                              {"bytes", swept->bytes},
                              {"seconds", absl::ToDoubleSeconds(clock_.Now() - start)}});
}

void Maintenance::Scrub() {
  if (options_.scrub_every <= absl::ZeroDuration()) return;
  Place place = ReadPlace(place_);
  const absl::Time now = clock_.Now();
  if (place.after.empty()) {
    if (now < absl::FromUnixSeconds(place.begun) + options_.scrub_every) return;
    place.begun = absl::ToUnixSeconds(now);
  }
  absl::Time noted = now;
  ScrubOptions scrub;
  scrub.bytes_per_second = options_.scrub_bytes_per_second;
  scrub.after = place.after;
  scrub.wait = [this](absl::Duration duration) { return Wait(duration); };
  scrub.done = [&](const BlobName& name, int64_t bytes) {
    metrics_.ObserveScrubbed(bytes);
    place.after = name.ToString();
    if (clock_.Now() - noted < kNoteEvery) return;
    noted = clock_.Now();
    WritePlace(place_, place);
  };
  const auto scrubbed = ScrubBlobs(blobs_, scrub);
  if (!scrubbed.ok()) {
    LogError("scrub failed", {{"error", scrubbed.status().message()}});
  } else if (scrubbed->complete) {
    place.after.clear();
    if (auto whole = jobs_.CheckWhole(); !whole.ok()) {
      LogError("database damaged", {{"error", whole.message()}});
    }
    LogInfo("scrub done", {{"blobs", scrubbed->blobs},
                           {"bytes", scrubbed->bytes},
                           {"damaged", scrubbed->damaged.size()}});
  }
  WritePlace(place_, place);
}

}  // namespace likeness::server
