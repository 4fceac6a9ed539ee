// What the commands share: their common flags, and the way from arguments to an exit code.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/exit_code.h"
#include "client/cli/output_format.h"
#include "client/cli/refusal.h"
#include "client/cli/screen.h"
#include "client/lib/connection.h"
#include "common/flags.h"
#include "likeness/v1/output.pb.h"

namespace likeness::client {

using Args = std::vector<std::string>;

// The arguments of a command that are no flags.
struct Form {
  size_t at_least = 0;
  size_t at_most = 0;
  // What each is called in errors, and what shells offer for it: JOB, MODEL, WORKER, CONTEXT,
  // COMMAND, FILE, DIR, or words between bars. The last is for all that follow.
  std::vector<std::string> kinds{};
  bool offline = false;  // the command asks no server, so that no context is looked up
};

// What a command works with. `server`, `security` and `output` are the flags that every command
// has; what they do not say is taken from the context.
struct Context {
  std::string server;
  std::string usual_server;  // that would be asked without --server
  std::string name;          // of the context that `server` comes from; empty: of none
  ChannelSecurity security;
  OutputFormat output = OutputFormat::kTable;
  std::unique_ptr<Screen> screen;  // progress and errors: stderr
  Args positional;
  RefusalNames names;  // to tell a person which photo is meant

  // Whether the results are for programs, and errors too.
  bool structured() const { return output == OutputFormat::kJson || output == OutputFormat::kYaml; }
  // Whether there is nothing else than the results on stdout.
  bool table() const { return output == OutputFormat::kTable; }

  // Commands that have an Interrupt give its token, so that Ctrl-C ends calls that wait.
  // INVALID_ARGUMENT without a reason: the flags are wrong.
  absl::StatusOr<Connection> Connect(std::stop_token stop = {}) const;
};

// `status` as invalid usage of this program, whatever reason it carries.
absl::Status CheckUse(const absl::Status& status);

// "likeness watch rex-7f3c", with --server if that was given: a command line that works as it
// stands.
std::string CommandHint(const Context& context, absl::string_view command);

// Parses `arguments` with `flags`, to which the common ones are added, and runs `body`. Prints the
// help if asked for, ends with kDetached if `body` was stopped (client/lib/stopped.h), says what
// went wrong if something did, as google.rpc.Status on stderr with
// --json, and returns the exit code. Arguments that begin with kComplete ask what the last of them
// may go on with.
int RunCommand(FlagSet& flags, const Args& arguments, const Form& form,
               const std::function<absl::StatusOr<ExitCode>(Context&)>& body);

// Adds the flags that every command has.
void AddCommonFlags(FlagSet& flags, Context& context);

// Jobs or models that one command takes.
inline constexpr size_t kMostArguments = 1000;

// Connects, calls `each` with one positional argument after the other, and stops at the first
// error, which names the argument where there are several.
absl::StatusOr<ExitCode> ForEachArgument(
    const Context& context,
    absl::StatusOr<ExitCode> (*each)(const Context& context, const Connection& connection,
                                     const std::string& argument));

// A line of the result, on stdout.
void PrintResult(absl::string_view line);

// A file that was written: its path, or as an Output with that path if --output asks for JSON or
// YAML.
void PrintFile(const Context& context, const v1::Output& file);

// A line of the result that says one thing, if there is anything to say.
void PrintFact(absl::string_view label, absl::string_view text);

// The result as the API's own object, if --output asks for JSON or YAML, or its name: whether it
// did.
bool PrintObject(const Context& context, const google::protobuf::Message& object,
                 absl::string_view resource_name);

// One command: `run` takes what stands after its name, and returns the exit code.
struct Command {
  const char* name;
  const char* summary;
  int (*run)(const Args& arguments);
};

// All commands in the order in which the help lists them.
const std::vector<Command>& Commands();

int Create(const Args& arguments);
int Train(const Args& arguments);
int Generate(const Args& arguments);
int Replay(const Args& arguments);
int Priors(const Args& arguments);
int Evaluate(const Args& arguments);
int Export(const Args& arguments);
int Import(const Args& arguments);
int Wait(const Args& arguments);
int Watch(const Args& arguments);
int Logs(const Args& arguments);
int List(const Args& arguments);
int Get(const Args& arguments);
int Cancel(const Args& arguments);
int Retry(const Args& arguments);
int Delete(const Args& arguments);
int EraseCommand(const Args& arguments);
int Download(const Args& arguments);
int Report(const Args& arguments);
int Models(const Args& arguments);
int Workers(const Args& arguments);
int Drain(const Args& arguments);
int Undrain(const Args& arguments);
int Queue(const Args& arguments);
int Usage(const Args& arguments);
int WhoAmI(const Args& arguments);
int ConfigCommand(const Args& arguments);
int Completion(const Args& arguments);
int Help(const Args& arguments);

}  // namespace likeness::client
