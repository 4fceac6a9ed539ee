// The commands of likeness-server. Each takes what stands after its name and returns the process's
// exit code: 0 done, 1 failed, 2 invalid usage.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/flags.h"

namespace likeness::server {

using CommandLine = std::vector<std::string>;

struct Command {
  const char* name;
  const char* summary;
  int (*run)(const CommandLine& arguments);
};

// All commands in the order in which the help lists them; the first is the one that is meant when
// none is named.
const std::vector<Command>& Commands();

// Runs the command that `arguments` name.
int RunProgram(CommandLine arguments);

// What the commands share: parses `arguments` into the targets of `flags` and into exactly
// `positional` (name and target: {"B", &directory}), prints the help if it is asked for, and runs
// `body`. An error goes to stderr; INVALID_ARGUMENT is invalid usage.
struct Positional {
  const char* name;
  std::string* target;
};
int RunCommand(FlagSet& flags, const CommandLine& arguments,
               const std::vector<Positional>& positional,
               const std::function<absl::Status()>& body);

int ServeCommand(const CommandLine& arguments);
int BackupCommand(const CommandLine& arguments);
int RestoreCheckCommand(const CommandLine& arguments);
int CollectCommand(const CommandLine& arguments);
int HealthcheckCommand(const CommandLine& arguments);
int ScrubCommand(const CommandLine& arguments);

}  // namespace likeness::server
