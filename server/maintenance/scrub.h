// Reads blobs to find those whose bytes have changed on the disk. The store sets them aside.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/blobs/blob_store.h"

namespace likeness::server {

struct ScrubOptions {
  int64_t bytes_per_second = 0;  // 0: as fast as it goes
  std::string after;             // the blob after which to begin
  // Waits so long; false ends the scrub.
  std::function<bool(absl::Duration)> wait = [](absl::Duration) { return true; };
  // A blob was read to its end.
  std::function<void(const BlobName&, int64_t bytes)> done = [](const BlobName&, int64_t) {};
};

struct Scrubbed {
  int64_t blobs = 0;
  int64_t bytes = 0;
  std::vector<BlobName> damaged;
  bool complete = true;  // it was not ended before the last blob
};

absl::StatusOr<Scrubbed> ScrubBlobs(BlobStore& blobs, const ScrubOptions& options);

}  // namespace likeness::server
