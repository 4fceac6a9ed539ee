#include "client/cli/command.h"

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "client/cli/json.h"
#include "common/rpc_error.h"

namespace likeness::client {
namespace {

absl::Status CheckPositional(const Args& found, const Positional& wanted) {
  if (found.size() < wanted.at_least) {
    return absl::InvalidArgumentError("An argument is missing; --help says which.");
  }
  if (found.size() > wanted.at_most) {
    return absl::InvalidArgumentError(absl::StrCat("Unexpected argument '", found[wanted.at_most],
                                                   "'; --help says what is taken."));
  }
  return absl::OkStatus();
}

// A wrong command line is wrong use whatever reason the parser gave it.
absl::Status Parse(FlagSet& flags, const Args& arguments, const Positional& wanted,
                   Context& context) {
  auto found = flags.Parse(arguments);
  if (!found.ok()) return absl::InvalidArgumentError(found.status().message());
  if (flags.help_requested()) return absl::OkStatus();
  context.positional = *std::move(found);
  return CheckPositional(context.positional, wanted);
}

int Fail(const Context& context, const absl::Status& status) {
  if (context.json) {
    context.screen->ClearProgress();
    std::fprintf(stderr, "%s\n", ToJson(ToRpcStatus(status)).c_str());
  } else {
    ShowRefusal(*context.screen, status, context.server, context.names);
  }
  return ExitCodeFor(status);
}

}  // namespace

int RunCommand(FlagSet& flags, const Args& arguments, const Positional& positional,
               const std::function<absl::StatusOr<ExitCode>(Context&)>& body) {
  Context context;
  flags.AddHeading("Every command");
  flags.Add("server", &context.server, "HOST:PORT of the server.", "LIKENESS_SERVER");
  context.security.AddTo(flags);
  flags.Add("json", &context.json, "Print the API's own JSON on stdout, errors as JSON on stderr.");
  auto parsed = Parse(flags, arguments, positional, context);
  context.screen = OpenScreen(/*terminal_only=*/context.json);
  if (!parsed.ok()) return Fail(context, parsed);
  if (flags.help_requested()) {
    PrintResult(absl::StrCat(flags.Help(), "\n", kExitCodeHelp));
    return kDone;
  }
  auto code = body(context);
  return code.ok() ? *code : Fail(context, code.status());
}

std::string CommandHint(const Context& context, absl::string_view command) {
  const char* environment = std::getenv("LIKENESS_SERVER");
  const bool known = context.server == (environment && *environment ? environment : kDefaultServer);
  return absl::StrCat("likeness ", command, known ? "" : " --server ", known ? "" : context.server);
}

void PrintResult(absl::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

}  // namespace likeness::client
