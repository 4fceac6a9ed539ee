#include "worker/wire/listen_error.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/address.h"

namespace likeness {

std::string ListenError(const std::string& address) {
  const auto parsed = ParsePageAddress("address", address);
  if (!parsed.ok()) return std::string(parsed.status().message());
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = absl::StrCat(parsed->port);
  if (const int error = getaddrinfo(parsed->host.c_str(), port.c_str(), &hints, &found)) {
    return gai_strerror(error);
  }
  const int listener = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int reuse = 1;  // as HTTP servers do: connections of an earlier process do not count
  const bool bound =
      listener >= 0 && setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)) == 0 &&
      bind(listener, found->ai_addr, found->ai_addrlen) == 0 && listen(listener, 1) == 0;
  const std::string why = bound ? "" : std::strerror(errno);
  freeaddrinfo(found);
  if (listener >= 0) close(listener);
  return why;
}

}  // namespace likeness
