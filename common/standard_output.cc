#include "common/standard_output.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace likeness {
namespace {

bool ReaderHasLeft() {
  pollfd file{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  return poll(&file, 1, 0) == 1 && (file.revents & POLLERR) != 0;
}

}  // namespace

int FinishStdout(const char* program, int exit_code, int failed) {
  const bool failed_before = std::ferror(stdout) != 0;
  errno = 0;
  if (std::fflush(stdout) == 0 && !failed_before) return exit_code;
  const int why = errno;  // of this flush; an earlier failure's is gone
  if (ReaderHasLeft()) return exit_code;
  std::fprintf(stderr, "%s: cannot write to stdout%s%s\n", program, why != 0 ? ": " : "",
               why != 0 ? std::strerror(why) : "");
  return exit_code == 0 ? failed : exit_code;
}

}  // namespace likeness
