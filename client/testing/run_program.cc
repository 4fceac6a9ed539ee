#include "client/testing/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <thread>

namespace likeness::client {
namespace {

// In the child: becomes the program. LIKENESS_PROGRAM is its path, a definition of the build.
[[noreturn]] void Become(const std::filesystem::path& folder,
                         const std::vector<std::string>& arguments) {
  std::string program = LIKENESS_PROGRAM;
  std::vector<char*> argv = {program.data()};
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  unsetenv("LIKENESS_SERVER");
  setenv("XDG_CONFIG_HOME", folder.c_str(), 1);  // and not the person's own
  unsetenv("NO_COLOR");
  setenv("TERM", "xterm", 1);
  if (chdir(folder.c_str()) == 0) execv(program.c_str(), argv.data());
  _exit(127);
}

int Wait(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Reads until the other end closes; a terminal says so with an error. Calls `look` now and then.
void ReadAll(int file, std::string& text, const std::function<void()>& look = {}) {
  std::array<char, 4096> buffer;
  while (true) {
    pollfd readable{file, POLLIN, 0};
    if (look && poll(&readable, 1, /*milliseconds=*/50) == 0) {
      look();
      continue;
    }
    const ssize_t count = read(file, buffer.data(), buffer.size());
    if (count <= 0) break;
    text.append(buffer.data(), count);
    if (look) look();
  }
  close(file);
}

}  // namespace

Ran RunProgramIn(const std::filesystem::path& folder, const std::vector<std::string>& arguments,
                 const std::string& stdout_file) {
  std::array<int, 2> out, err;
  if (pipe(out.data()) != 0 || pipe(err.data()) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    for (int file : {out[0], out[1], err[0], err[1]}) close(file);
    if (!stdout_file.empty()) dup2(open(stdout_file.c_str(), O_WRONLY), STDOUT_FILENO);
    Become(folder, arguments);
  }
  close(out[1]);
  close(err[1]);
  Ran ran;
  std::thread errors([&] { ReadAll(err[0], ran.err); });
  ReadAll(out[0], ran.out);
  errors.join();
  ran.exit_code = Wait(child);
  return ran;
}

Ran RunOnTerminal(const std::filesystem::path& folder, const std::vector<std::string>& arguments,
                  const std::function<bool(const std::string&)>& interrupt_when) {
  int terminal = -1;
  winsize size{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  const pid_t child = forkpty(&terminal, nullptr, nullptr, &size);
  if (child == 0) Become(folder, arguments);
  Ran ran;
  bool interrupted = false;
  ReadAll(terminal, ran.out, [&] {
    if (interrupted || !interrupt_when || !interrupt_when(ran.out)) return;
    interrupted = write(terminal, "\x03", 1) == 1;
  });
  ran.exit_code = Wait(child);
  return ran;
}

}  // namespace likeness::client
