#include "common/address.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness {
namespace {

constexpr absl::string_view kUnix = "unix:";
constexpr absl::string_view kDns = "dns:///";
constexpr size_t kMaxHostBytes = 253;    // of DNS
constexpr size_t kMaxSocketBytes = 107;  // of sockaddr_un
constexpr int kMaxPort = 65535;

bool IsIp(int family, absl::string_view text) {
  in6_addr parsed;  // the larger of the two
  return inet_pton(family, std::string(text).c_str(), &parsed) == 1;
}

// The address before a zone: "fe80::1" of "fe80::1%eth0".
absl::string_view WithoutZone(absl::string_view ip6) { return ip6.substr(0, ip6.find('%')); }

bool IsHost(absl::string_view host) {
  if (host.empty() || host.size() > kMaxHostBytes) return false;
  if (host.find_first_not_of("0123456789.") == absl::string_view::npos) return IsIp(AF_INET, host);
  return std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
  });
}

absl::Status Invalid(absl::string_view flag, absl::string_view text, absl::string_view problem) {
  return InvalidField(flag,
                      absl::StrCat("is \"", text, "\": ", problem,
                                   "; HOST:PORT, [IPV6]:PORT or unix:PATH is allowed"),
                      "INVALID_ADDRESS");
}

}  // namespace

absl::StatusOr<Address> ParseAddress(absl::string_view flag, absl::string_view text) {
  Address address;
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, kUnix)) {
    if (rest.empty() || rest.size() > kMaxSocketBytes || absl::StrContains(rest, '\0')) {
      return Invalid(flag, text,
                     absl::StrCat("a socket's path has 1 to ", kMaxSocketBytes, " bytes"));
    }
    address.unix_path = std::string(rest);
    return address;
  }
  const size_t colon = rest.rfind(':');
  if (colon == absl::string_view::npos) return Invalid(flag, text, "the port is missing");
  absl::string_view host = rest.substr(0, colon);
  const absl::string_view port = rest.substr(colon + 1);
  if (absl::ConsumePrefix(&host, "[")) {
    if (!absl::ConsumeSuffix(&host, "]") || !IsIp(AF_INET6, WithoutZone(host))) {
      return Invalid(flag, text, "there is no IPv6 address in the brackets");
    }
  } else if (absl::StrContains(host, ':')) {
    return Invalid(flag, text, "an IPv6 address stands in brackets");
  } else if (!IsHost(host)) {
    return Invalid(flag, text, "the host is neither a name nor an IP address");
  }
  const bool digits = !port.empty() && port.size() <= 5 &&
                      std::all_of(port.begin(), port.end(), absl::ascii_isdigit);
  if (!digits || !absl::SimpleAtoi(port, &address.port) || address.port > kMaxPort) {
    return Invalid(flag, text, absl::StrCat("the port is not a number from 0 to ", kMaxPort));
  }
  address.host = std::string(host);
  return address;
}

absl::StatusOr<Address> ParseTarget(absl::string_view flag, absl::string_view text) {
  ASSIGN_OR_RETURN(Address address, ParseAddress(flag, absl::StripPrefix(text, kDns)));
  if (!address.is_unix() && address.port == 0) {
    return Invalid(flag, text, "nothing listens on port 0");
  }
  return address;
}

absl::StatusOr<Address> ParsePageAddress(absl::string_view flag, absl::string_view text) {
  ASSIGN_OR_RETURN(Address address, ParseAddress(flag, text));
  if (!address.is_unix()) return address;
  return InvalidField(
      flag,
      absl::StrCat("is \"", text, "\", a unix socket; a page of metrics listens on HOST:PORT"),
      "INVALID_ADDRESS");
}

std::string ToString(const Address& address) {
  if (address.is_unix()) return absl::StrCat(kUnix, address.unix_path);
  const bool ip6 = absl::StrContains(address.host, ':');
  return absl::StrCat(ip6 ? "[" : "", address.host, ip6 ? "]:" : ":", address.port);
}

bool IsLoopback(const Address& address) {
  if (address.is_unix() || address.host == "localhost") return true;
  in6_addr ip6;
  if (inet_pton(AF_INET6, address.host.c_str(), &ip6) == 1) return IN6_IS_ADDR_LOOPBACK(&ip6);
  return absl::StartsWith(address.host, "127.") && IsIp(AF_INET, address.host);
}

bool IsLoopback(absl::string_view address) {
  const auto parsed = ParseAddress("address", address);
  return parsed.ok() && IsLoopback(*parsed);
}

}  // namespace likeness
