// Which network addresses a webhook may reach: those of the public internet, and what the operator
// allows besides. A client names the URL, so without this it could make the server call services
// that only the server can reach.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace likeness::server {

// An IP network; IPv4 is held as IPv4-mapped IPv6.
struct Network {
  std::array<uint8_t, 16> address = {};
  int prefix_bits = 128;  // of the mapped form
};

// "10.0.0.0/8", "fd00::/8" or one address, with commas between; none for an empty text.
// INVALID_ARGUMENT (INVALID_FLAG).
absl::StatusOr<std::vector<Network>> ParseNetworks(absl::string_view text);

class AddressRules {
 public:
  AddressRules() = default;
  explicit AddressRules(std::vector<Network> allowed) : allowed_(std::move(allowed)) {}

  // Whether a connection may be opened to it. What is no IP address may not.
  bool Permits(const sockaddr& address) const;

 private:
  std::vector<Network> allowed_;
};

}  // namespace likeness::server
