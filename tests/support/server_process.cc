#include "tests/support/server_process.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/support/test_server.h"

namespace likeness::testing {

ServerProcess::ServerProcess(const std::string& program, const std::string& data_dir, int port,
                             std::vector<std::string> more_flags) {
  std::vector<std::string> args = {program, "--data-dir=" + data_dir,
                                   absl::StrCat("--listen=127.0.0.1:", port)};
  const bool page = std::any_of(more_flags.begin(), more_flags.end(), [](const std::string& flag) {
    return absl::StartsWith(flag, "--metrics-listen=");
  });
  if (!page) args.push_back("--metrics-listen=");  // a fixed port may be taken
  args.insert(args.end(), more_flags.begin(), more_flags.end());
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  pid_ = vfork();
  if (pid_ == 0) {
    execv(argv[0], argv.data());
    _exit(127);
  }
  const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(30);
  if (!ChannelTo(port)->WaitForConnected(deadline)) {
    std::fprintf(stderr, "%s does not serve\n", program.c_str());
    std::abort();
  }
}

ServerProcess::~ServerProcess() {
  if (pid_ < 0) return;
  Signal(SIGKILL);
  Wait();
}

void ServerProcess::Signal(int signal) { kill(pid_, signal); }

int ServerProcess::Wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int64_t ServerProcess::ResidentBytes() const {
  std::ifstream statm(absl::StrCat("/proc/", pid_, "/statm"));
  int64_t size = 0;
  int64_t resident = 0;  // both in pages
  statm >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

absl::Duration ServerProcess::CpuTime() const {
  clockid_t clock;
  timespec time;
  if (clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &time) != 0) {
    return absl::ZeroDuration();
  }
  return absl::DurationFromTimespec(time);
}

int ServerProcess::OpenFiles() const {
  std::error_code error;
  const std::filesystem::directory_iterator files(absl::StrCat("/proc/", pid_, "/fd"), error);
  return static_cast<int>(std::distance(begin(files), end(files)));
}

int FreePort() {
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) != 0) std::abort();
  getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
  close(descriptor);
  return ntohs(address.sin_port);
}

}  // namespace likeness::testing
