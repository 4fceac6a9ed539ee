#include "common/ask_for_page.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/address.h"
#include "common/status_macros.h"

namespace likeness {
namespace {

constexpr size_t kMaxAnswerBytes = 4096;  // enough for the status and a reason

std::string BeginningOf(int connection) {
  std::string answer(kMaxAnswerBytes, '\0');
  const ssize_t count = recv(connection, answer.data(), answer.size(), MSG_WAITALL);
  answer.resize(count < 0 ? 0 : static_cast<size_t>(count));
  return answer;
}

// To the first of the addresses at which somebody listens; -1 where nobody does.
int Connect(const addrinfo* addresses) {
  for (; addresses != nullptr; addresses = addresses->ai_next) {
    const int connection =
        socket(addresses->ai_family, addresses->ai_socktype, addresses->ai_protocol);
    if (connection < 0) continue;
    const timeval patience{.tv_sec = 2, .tv_usec = 0};
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(connection, addresses->ai_addr, addresses->ai_addrlen) == 0) return connection;
    close(connection);
  }
  return -1;
}

}  // namespace

absl::Status AskForPage(const std::string& address, const std::string& path) {
  const auto failure = [&](absl::string_view what) {
    return absl::UnavailableError(absl::StrCat("http://", address, path, ": ", what));
  };
  ASSIGN_OR_RETURN(const Address server, ParseTarget("--metrics-listen", address));
  addrinfo* found = nullptr;
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(server.host.c_str(), absl::StrCat(server.port).c_str(), &hints, &found) != 0) {
    return failure("no such address");
  }
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  const int connection = Connect(found);
  if (connection < 0) return failure("nothing listens");
  const absl::Cleanup close_connection = [connection] { close(connection); };
  const std::string request = absl::StrCat("GET ", path, " HTTP/1.0\r\n\r\n");
  if (send(connection, request.data(), request.size(), MSG_NOSIGNAL) < 0) {
    return failure("it hung up");
  }
  const std::string answer = BeginningOf(connection);
  const std::vector<absl::string_view> words = absl::StrSplit(answer, absl::MaxSplits(' ', 2));
  if (words.size() < 2 || !absl::StartsWith(words[0], "HTTP/")) return failure("no answer");
  if (words[1] == "200") return absl::OkStatus();
  const std::pair<absl::string_view, absl::string_view> head_and_body =
      absl::StrSplit(answer, absl::MaxSplits("\r\n\r\n", 1));
  const absl::string_view line = head_and_body.second.substr(0, head_and_body.second.find('\n'));
  return failure(absl::StrCat(words[1], " ", line));
}

}  // namespace likeness
