// What the commands share: their common flags, and the way from arguments to an exit code.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/exit_code.h"
#include "client/cli/refusal.h"
#include "client/cli/screen.h"
#include "client/lib/connection.h"
#include "common/flags.h"

namespace likeness::client {

using Args = std::vector<std::string>;

// How many arguments a command takes that are no flags.
struct Positional {
  size_t at_least = 0;
  size_t at_most = 0;
};

// What a command works with. `server`, `security` and `json` are the flags that every command has.
struct Context {
  std::string server = kDefaultServer;
  ChannelSecurity security;
  bool json = false;
  std::unique_ptr<Screen> screen;  // progress and errors: stderr
  Args positional;
  RefusalNames names;  // to tell a person which photo is meant

  absl::StatusOr<Connection> Connect() const { return Connection::Open(server, security); }
};

// "likeness watch rex-7f3c", with --server if that was given: a command line that works as it
// stands.
std::string CommandHint(const Context& context, absl::string_view command);

// Parses `arguments` with `flags`, to which the common ones are added, and runs `body`. Prints the
// help if asked for, says what went wrong if something did, as google.rpc.Status on stderr with
// --json, and returns the exit code.
int RunCommand(FlagSet& flags, const Args& arguments, const Positional& positional,
               const std::function<absl::StatusOr<ExitCode>(Context&)>& body);

// A line of the result, on stdout.
void PrintResult(absl::string_view line);

// One command: `run` takes what stands after its name, and returns the exit code.
struct Command {
  const char* name;
  const char* summary;
  int (*run)(const Args& arguments);
};

// All commands in the order in which the help lists them.
const std::vector<Command>& Commands();

int Train(const Args& arguments);
int Generate(const Args& arguments);
int Watch(const Args& arguments);
int List(const Args& arguments);
int Get(const Args& arguments);
int Cancel(const Args& arguments);
int Retry(const Args& arguments);
int Delete(const Args& arguments);
int Download(const Args& arguments);
int Models(const Args& arguments);
int Help(const Args& arguments);

}  // namespace likeness::client
