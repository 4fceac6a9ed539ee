#include "server/webhooks/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::server {
namespace {

using Bytes = std::array<uint8_t, 16>;

constexpr int kMappedBits = 96;  // ::ffff:0:0/96

// What IANA's registries of special-purpose addresses do not call globally reachable, multicast,
// what carries an IPv4 address within, and the clouds' metadata.
constexpr const char* kRefused[] = {
    "0.0.0.0/8",        "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
    "172.16.0.0/12",    "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
    "198.18.0.0/15",    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
    "168.63.129.16/32",  // Azure's WireServer, on a public address
    "2001::/23",        "2001:db8::/32",   "2002::/16",      "3fff::/20"};
constexpr char kIpv6Global[] =
    "2000::/3";  // the rest of IPv6 is refused: loopback, local, NAT64, multicast, ...

bool Contains(const Network& network, const Bytes& address) {
  const int whole = network.prefix_bits / 8;
  if (!std::equal(address.begin(), address.begin() + whole, network.address.begin())) return false;
  const int rest = network.prefix_bits % 8;
  if (rest == 0) return true;
  const int mask = 0xFF << (8 - rest) & 0xFF;
  return (address[whole] & mask) == (network.address[whole] & mask);
}

Bytes Mapped(const in_addr& address) {
  Bytes bytes = {};
  bytes[10] = bytes[11] = 0xFF;
  std::memcpy(bytes.data() + 12, &address, 4);
  return bytes;
}

bool IsMapped(const Bytes& address) { return Contains({Mapped(in_addr{}), kMappedBits}, address); }

absl::StatusOr<Network> ParseNetwork(const std::string& text) {
  const size_t slash = text.find('/');
  const std::string host = text.substr(0, slash);
  Network network;
  in_addr v4 = {};
  in6_addr v6 = {};
  int offset = 0;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    network.address = Mapped(v4);
    offset = kMappedBits;
  } else if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) {
    std::memcpy(network.address.data(), &v6, 16);
  } else {
    return InvalidField("--webhook-allow",
                        absl::StrCat("\"", text, "\" is not an IP address or network (10.0.0.0/8)"),
                        "INVALID_FLAG");
  }
  int bits = 128 - offset;
  if (slash != std::string::npos &&
      (!absl::SimpleAtoi(text.substr(slash + 1), &bits) || bits < 0 || bits > 128 - offset)) {
    return InvalidField("--webhook-allow",
                        absl::StrCat("\"", text, "\": after the slash stands 0 to ", 128 - offset),
                        "INVALID_FLAG");
  }
  network.prefix_bits = offset + bits;
  return network;
}

const std::vector<Network>& Refused() {
  static const auto& networks = *[] {
    auto* parsed = new std::vector<Network>;
    for (const char* text : kRefused) parsed->push_back(*ParseNetwork(text));
    return parsed;
  }();
  return networks;
}

}  // namespace

absl::StatusOr<std::vector<Network>> ParseNetworks(absl::string_view text) {
  std::vector<Network> networks;
  for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    ASSIGN_OR_RETURN(const Network network, ParseNetwork(std::string(part)));
    networks.push_back(network);
  }
  return networks;
}

bool AddressRules::Permits(const sockaddr& address) const {
  Bytes bytes = {};
  if (address.sa_family == AF_INET) {
    bytes = Mapped(reinterpret_cast<const sockaddr_in&>(address).sin_addr);
  } else if (address.sa_family == AF_INET6) {
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, 16);
  } else {
    return false;
  }
  auto contains = [&](const Network& network) { return Contains(network, bytes); };
  if (std::any_of(allowed_.begin(), allowed_.end(), contains)) return true;
  if (std::any_of(Refused().begin(), Refused().end(), contains)) return false;
  static const Network& global = *new Network(*ParseNetwork(kIpv6Global));
  return IsMapped(bytes) || Contains(global, bytes);
}

}  // namespace likeness::server
