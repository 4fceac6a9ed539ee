#include "server/commands/commands.h"

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/auth/keys_command.h"

namespace likeness::server {
namespace {

constexpr char kProgram[] = "likeness-server";

int Report(const absl::Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s: %s\n", kProgram, std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

void ListCommands(std::FILE* out) {
  std::fprintf(out, "Usage: %s [COMMAND] [FLAGS]\n\n", kProgram);
  for (const Command& command : Commands()) {
    std::fprintf(out, "  %-15s  %s\n", command.name, command.summary);
  }
  std::fprintf(out, "\n%s COMMAND --help lists a command's flags.\n", kProgram);
}

absl::Status Take(const std::vector<std::string>& given, const std::vector<Positional>& wanted) {
  if (given.size() > wanted.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", given[wanted.size()], "\" is not a flag of this command; --help lists all"));
  }
  if (given.size() < wanted.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(wanted[given.size()].name, " is missing; --help tells how to call this"));
  }
  for (size_t i = 0; i < given.size(); ++i) *wanted[i].target = given[i];
  return absl::OkStatus();
}

}  // namespace

const std::vector<Command>& Commands() {
  static const auto& commands = *new std::vector<Command>{
      {"serve", "serves clients and workers (the default)", ServeCommand},
      {"backup", "copies a data directory, while its server runs or not", BackupCommand},
      {"restore-check", "says whether a backup is whole", RestoreCheckCommand},
      {"collect", "removes blobs that no job names", CollectCommand},
      {"scrub", "reads every blob and sets damaged ones aside", ScrubCommand},
      {"healthcheck", "asks whether the server of this machine is alive, or ready",
       HealthcheckCommand},
      {"keys", "makes, lists and revokes API keys", RunKeysCommand},
  };
  return commands;
}

int RunProgram(CommandLine arguments) {
  if (arguments.empty() || arguments[0].starts_with('-')) {
    return Commands().front().run(arguments);
  }
  if (arguments[0] == "help") {
    ListCommands(stdout);
    return 0;
  }
  for (const Command& command : Commands()) {
    if (arguments[0] != command.name) continue;
    arguments.erase(arguments.begin());
    return command.run(arguments);
  }
  std::fprintf(stderr, "%s: \"%s\" is not a command\n\n", kProgram, arguments[0].c_str());
  ListCommands(stderr);
  return 2;
}

int RunCommand(FlagSet& flags, const CommandLine& arguments,
               const std::vector<Positional>& positional,
               const std::function<absl::Status()>& body) {
  const auto given = flags.Parse(arguments);
  if (flags.help_requested()) {
    std::fputs(flags.Help().c_str(), stdout);
    return 0;
  }
  if (!given.ok()) return Report(given.status());
  if (auto taken = Take(*given, positional); !taken.ok()) return Report(taken);
  return Report(body());
}

}  // namespace likeness::server
