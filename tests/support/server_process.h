// likeness-server as a process of its own, to be killed.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace likeness::testing {

class ServerProcess {
 public:
  // Starts `program` on `port` with its data in `data_dir`; returns once it serves. Dies with the
  // test otherwise.
  ServerProcess(const std::string& program, const std::string& data_dir, int port,
                std::vector<std::string> more_flags = {});
  ~ServerProcess();  // kills it

  void Signal(int signal);
  // Waits for the end. The exit status, or -signal.
  int Wait();
  // Memory that it occupies now.
  int64_t ResidentBytes() const;
  // Time of processors that it has had so far.
  absl::Duration CpuTime() const;
  // Files and sockets that it has open now.
  int OpenFiles() const;

 private:
  pid_t pid_ = -1;
};

// A port that was free a moment ago.
int FreePort();

}  // namespace likeness::testing
