// Running the `likeness` program as a person or a script does.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace likeness::client {

struct Ran {
  int exit_code = -1;
  std::string out;  // stdout; on a terminal, all that it shows
  std::string err;  // stderr; on a terminal, empty
};

// Runs it in `folder` with stdout and stderr as pipes; with stdout as `stdout_file` if that is
// given.
Ran RunProgramIn(const std::filesystem::path& folder, const std::vector<std::string>& arguments,
                 const std::string& stdout_file = "");

// Runs it on a terminal of 80 x 24, and presses Ctrl-C once `interrupt_when` says yes to what it
// showed so far.
Ran RunOnTerminal(const std::filesystem::path& folder, const std::vector<std::string>& arguments,
                  const std::function<bool(const std::string&)>& interrupt_when = {});

}  // namespace likeness::client
