// How clients and workers reach a server: over TLS or not, and as whom.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/flags.h"
#include "grpcpp/channel.h"
#include "grpcpp/support/channel_arguments.h"

namespace likeness {

// The name of the metadata under which a worker names its lease when it moves blobs.
inline constexpr char kLeaseMetadata[] = "likeness-lease";

struct ChannelSecurity {
  std::string token{};     // sent with every call as "authorization: Bearer TOKEN"
  bool tls = false;        // implied by each of the three below
  std::string tls_ca{};    // PEM file; empty: the system's authorities
  std::string tls_cert{};  // PEM files of a client's own certificate, and its key
  std::string tls_key{};
  bool insecure_token = false;  // the token may go to another machine without TLS

  bool encrypts() const;
  void AddTo(FlagSet& flags);
};

// Connects when first used; to this machine never through a proxy of the environment.
// INVALID_ARGUMENT for an address that is none (INVALID_ADDRESS), a token that would travel
// readable by anybody (TOKEN_UNPROTECTED), or files that cannot be used (TLS_FILE).
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const std::string& address,
                                                           const ChannelSecurity& security,
                                                           grpc::ChannelArguments arguments);

}  // namespace likeness
