#include "worker/support/command_flags.h"

#include <errno.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/version.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongUse = 2;

int Complain(const absl::Status& status, int exit_code) {
  std::fprintf(stderr, "%s: %s\n", program_invocation_short_name,
               std::string(status.message()).c_str());
  return exit_code;
}

}  // namespace

int RunNamedCommand(const CommandLine& arguments, const std::map<std::string, Command>& commands,
                    const char* help, const std::string& if_none) {
  CommandLine rest = arguments;
  const std::string first = rest.empty() ? "" : rest.front();
  if (first == "help" || first == "--help" || first == "-h") {
    std::fputs(help, stdout);
    return 0;
  }
  if (first == "--version") {
    std::printf("%s\n", Version());
    return 0;
  }
  std::string command = if_none;
  if (!first.empty() && !first.starts_with('-')) {
    command = first;
    rest.erase(rest.begin());
  }
  const auto found = commands.find(command);
  if (found == commands.end()) {
    const std::string why =
        command.empty() ? "a command is needed" : absl::StrCat("unknown command \"", command, "\"");
    std::fprintf(stderr, "%s: %s\n\n%s", program_invocation_short_name, why.c_str(), help);
    return kWrongUse;
  }
  return found->second(rest);
}

int RunWithFlags(FlagSet& flags, const CommandLine& arguments,
                 const std::function<absl::Status()>& body) {
  const auto positional = flags.Parse(arguments);
  if (flags.help_requested()) {
    std::printf("%s", flags.Help().c_str());
    return 0;
  }
  if (!positional.ok()) return Complain(positional.status(), kWrongUse);
  if (!positional->empty()) {
    return Complain(absl::InvalidArgumentError(
                        absl::StrCat("unexpected argument \"", positional->front(), "\"")),
                    kWrongUse);
  }
  absl::Status status;
  // What a command does not catch (a directory without permission, a full disk) ends it with a
  // message. Here its user may see paths: they are the user's own.
  status.Update(Guard([&] {
    try {
      status = body();
    } catch (const std::filesystem::filesystem_error& error) {
      status = absl::FailedPreconditionError(
          absl::StrCat(error.path1().string(), ": ", error.code().message()));
    }
  }));
  if (status.ok()) return 0;
  return Complain(status, absl::IsInvalidArgument(status) ? kWrongUse : kFailed);
}

absl::Status MakeDirectory(const char* name, const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error && access(path.c_str(), W_OK | X_OK) != 0) {
    error = std::error_code(errno, std::generic_category());
  }
  if (!error) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("--", name, "=", path, ": ", error.message()));
}

absl::Status RequireFlag(const char* name, const std::string& value) {
  if (!value.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", name, " is needed"));
}

}  // namespace likeness
