#include "worker/wire/rpc_patience.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "common/clock.h"
#include "common/rpc_error.h"
#include "common/trace.h"

namespace likeness {
namespace {

// A server whose line broke holds the old call for up to 50 s before it notices.
constexpr absl::Duration kOldCall = absl::Minutes(2);

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> ConnectToServer(const std::string& address,
                                                               const ChannelSecurity& security) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 3000);
  arguments.SetMaxReceiveMessageSize(64 << 20);
  // A connection that died silently is noticed and replaced within a lease of the usual 30 s. The
  // server permits a ping every 5 s.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  return OpenChannel(address, security, arguments);
}

void PrepareCall(grpc::ClientContext& context, absl::Duration limit) {
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(limit));
  if (CurrentTrace()) context.AddMetadata(kTraceparent, CurrentTrace()->ToTraceparent());
}

void Backoff::Pause(const std::function<bool()>& give_up) {
  constexpr absl::Duration kSlice = absl::Milliseconds(50);
  for (absl::Duration left = pause_; left > absl::ZeroDuration() && !give_up(); left -= kSlice) {
    absl::SleepFor(std::min(left, kSlice));
  }
  pause_ = std::min(pause_ * 2, absl::Seconds(3));
}

bool ServerIsAway(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

absl::Status CallPatiently(const std::function<absl::Status()>& call,
                           const std::function<bool()>& give_up) {
  Backoff backoff;
  absl::Time old_call_until = absl::InfiniteFuture();
  while (true) {
    const absl::Status status = call();
    if (ErrorReason(status) == "UPLOAD_IN_PROGRESS") {
      old_call_until = std::min(old_call_until, SteadyNow() + kOldCall);
      if (SteadyNow() >= old_call_until) return status;
    } else if (!ServerIsAway(status)) {
      return status;
    }
    if (give_up()) return status;
    backoff.Pause(give_up);
  }
}

}  // namespace likeness
