#include "worker/wire/rpc_patience.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "common/trace.h"

namespace likeness {

absl::StatusOr<std::shared_ptr<grpc::Channel>> ConnectToServer(const std::string& address,
                                                               const ChannelSecurity& security) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 3000);
  arguments.SetMaxReceiveMessageSize(64 << 20);
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
  while (true) {
    const absl::Status status = call();
    if (!ServerIsAway(status) || give_up()) return status;
    backoff.Pause(give_up);
  }
}

}  // namespace likeness
