#include "server/maintenance/scrub.h"

#include "common/clock.h"
#include "common/status_macros.h"

namespace likeness::server {
namespace {

constexpr int64_t kPieceBytes = 1 << 20;

// Tells after each piece how long to wait so that the rate holds from the beginning on.
class Pace {
 public:
  explicit Pace(int64_t bytes_per_second) : rate_(bytes_per_second) {}
  absl::Duration After(int64_t bytes) {
    if (rate_ <= 0) return absl::ZeroDuration();
    const absl::Time now = SteadyNow();
    if (due_ < now) due_ = now;  // time that was lost is not made up for
    due_ += absl::Seconds(static_cast<double>(bytes) / static_cast<double>(rate_));
    return due_ - now;
  }

 private:
  const int64_t rate_;
  absl::Time due_ = absl::InfinitePast();
};

}  // namespace

absl::StatusOr<Scrubbed> ScrubBlobs(BlobStore& blobs, const ScrubOptions& options) {
  Scrubbed scrubbed;
  Pace pace(options.bytes_per_second);
  // False when the scrub is to end.
  const auto read = [&](const BlobName& name) -> absl::StatusOr<bool> {
    auto blob = blobs.Open(name);
    if (absl::IsNotFound(blob.status())) return true;  // swept meanwhile
    int64_t offset = 0;
    absl::Status status = blob.status();
    do {
      if (!status.ok()) break;
      auto bytes = (*blob)->Read(offset, kPieceBytes);
      status = bytes.status();
      if (!status.ok()) break;
      if (bytes->empty()) break;
      offset += static_cast<int64_t>(bytes->size());
      if (!options.wait(pace.After(static_cast<int64_t>(bytes->size())))) return false;
    } while (offset < (*blob)->size());
    if (absl::IsDataLoss(status)) {
      scrubbed.damaged.push_back(name);
    } else {
      RETURN_IF_ERROR(status);
    }
    ++scrubbed.blobs;
    scrubbed.bytes += offset;
    options.done(name, offset);
    return true;
  };
  absl::Status failed;
  RETURN_IF_ERROR(blobs.Visit(options.after, [&](const BlobName& name) {
    const auto more = read(name);
    failed = more.status();
    scrubbed.complete = more.ok() && *more;
    return scrubbed.complete;
  }));
  RETURN_IF_ERROR(failed);
  return scrubbed;
}

}  // namespace likeness::server
