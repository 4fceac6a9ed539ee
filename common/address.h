// Addresses of servers: "localhost:50051", "[::1]:50051", "unix:/run/likeness.sock". Every address
// that a program takes goes through ParseAddress, so that none means one thing here and another in
// a library.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace likeness {

struct Address {
  std::string host{};       // a name or an IP address, IPv6 without its brackets; "" for a socket
  int port = 0;             // 0 to 65535
  std::string unix_path{};  // of a unix socket; "" for host and port

  bool is_unix() const { return !unix_path.empty(); }
};

// HOST:PORT, with IPv6 addresses in brackets; unix:PATH. INVALID_ARGUMENT (INVALID_ADDRESS) on
// `flag` for anything else: a port beyond 65535 or none, a host that can be neither a name nor an
// address.
absl::StatusOr<Address> ParseAddress(absl::string_view flag, absl::string_view text);

// The same for a server to call: dns:///HOST:PORT, as gRPC spells it, is HOST:PORT, and port 0 is
// no port.
absl::StatusOr<Address> ParseTarget(absl::string_view flag, absl::string_view text);

// The same for a page of metrics: HOST:PORT alone, since HTTP's clients know no unix sockets.
absl::StatusOr<Address> ParsePageAddress(absl::string_view flag, absl::string_view text);

// As it is parsed: "[::1]:50051".
std::string ToString(const Address& address);

// Whether only this machine can be meant: 127.0.0.0/8, ::1, localhost, or a unix socket. A name
// that merely begins like one ("127.0.0.1.example.com") is none.
bool IsLoopback(const Address& address);
// False for what is no address.
bool IsLoopback(absl::string_view address);

}  // namespace likeness
