// How the worker waits for a server that is away: for ever, with growing pauses.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/channel.h"

namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc

namespace likeness {

// A channel that keeps trying to connect every few seconds, and pings so that it notices within
// 20 s that a connection is dead. INVALID_ARGUMENT: what OpenChannel
// (common/channel.h) refuses.
absl::StatusOr<std::shared_ptr<grpc::Channel>> ConnectToServer(const std::string& address,
                                                               const ChannelSecurity& security);

// For every call: its deadline, and the trace that this thread works for (common/trace.h).
void PrepareCall(grpc::ClientContext& context, absl::Duration limit);

// Pauses: 0.1 s, doubling up to 3 s.
class Backoff {
 public:
  // Returns early once `give_up` is true.
  void Pause(const std::function<bool()>& give_up);
  void Reset() { pause_ = kFirst; }

 private:
  static constexpr absl::Duration kFirst = absl::Milliseconds(100);
  absl::Duration pause_ = kFirst;
};

// Whether the server could not be asked, so that asking again is right.
bool ServerIsAway(const absl::Status& status);

// Repeats `call` while the server is away, until `give_up`; for two minutes also while the server
// still waits for the broken call before it (UPLOAD_IN_PROGRESS). Any other answer is returned at
// once.
absl::Status CallPatiently(const std::function<absl::Status()>& call,
                           const std::function<bool()>& give_up);

}  // namespace likeness
