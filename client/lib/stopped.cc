#include "client/lib/stopped.h"

#include "absl/strings/cord.h"

namespace likeness::client {
namespace {

constexpr char kStopped[] = "likeness.client/stopped";

}  // namespace

bool IsStopped(const absl::Status& status) { return status.GetPayload(kStopped).has_value(); }

absl::Status OrStopped(const absl::Status& status, const std::stop_token& stop) {
  if (status.ok() || !stop.stop_requested()) return status;
  absl::Status stopped = absl::CancelledError("Stopped.");
  stopped.SetPayload(kStopped, absl::Cord());
  return stopped;
}

}  // namespace likeness::client
