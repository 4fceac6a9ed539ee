#include "server/api/credentials.h"

#include "absl/strings/match.h"
#include "common/channel.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::server {
namespace {

constexpr char kBearer[] = "bearer ";
constexpr size_t kBearerLength = sizeof(kBearer) - 1;

absl::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

absl::Status NotOneBearer() {
  return RpcError(absl::StatusCode::kUnauthenticated, "TOKEN_INVALID",
                  "the metadata authorization must be one \"Bearer TOKEN\"");
}

}  // namespace

absl::StatusOr<std::string> BearerOf(absl::string_view authorization) {
  if (!absl::StartsWithIgnoreCase(authorization, kBearer)) return NotOneBearer();
  return std::string(authorization.substr(kBearerLength));
}

absl::StatusOr<Credentials> CredentialsOf(const grpc::ServerContext& context) {
  Credentials credentials;
  const auto& metadata = context.client_metadata();
  const auto [first, last] = metadata.equal_range("authorization");
  for (auto entry = first; entry != last; ++entry) {
    if (credentials.bearer) return NotOneBearer();
    ASSIGN_OR_RETURN(credentials.bearer, BearerOf(View(entry->second)));
  }
  // Only a certificate that was verified makes a peer authenticated.
  const auto peer = context.auth_context();
  if (peer && peer->IsPeerAuthenticated()) {
    const auto names = peer->FindPropertyValues("x509_common_name");
    credentials.certificate = names.empty() ? "" : std::string(View(names.front()));
  }
  return credentials;
}

// gRPC's are "ipv4:127.0.0.1:50051", "ipv6:%5B::1%5D:50051", "unix:".
std::string PeerOf(const grpc::ServerContext& context) {
  const std::string peer = context.peer();
  return absl::StartsWith(peer, "ip") ? peer.substr(0, peer.rfind(':')) : peer;
}

std::string LeaseTokenOf(const grpc::ServerContext& context) {
  const auto found = context.client_metadata().find(kLeaseMetadata);
  return found == context.client_metadata().end() ? "" : std::string(View(found->second));
}

}  // namespace likeness::server
