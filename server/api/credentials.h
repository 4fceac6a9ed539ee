// What a call brings along to say who makes it.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/server_context.h"
#include "server/auth/authenticator.h"

namespace likeness::server {

// The token of a value of `authorization`. UNAUTHENTICATED (TOKEN_INVALID).
absl::StatusOr<std::string> BearerOf(absl::string_view authorization);

// UNAUTHENTICATED (TOKEN_INVALID) for an `authorization` that is no bearer token, or is there
// twice.
absl::StatusOr<Credentials> CredentialsOf(const grpc::ServerContext& context);

// The address that the call comes from, without the port.
std::string PeerOf(const grpc::ServerContext& context);

// The lease under which a worker moves blobs; empty when it names none.
std::string LeaseTokenOf(const grpc::ServerContext& context);

}  // namespace likeness::server
