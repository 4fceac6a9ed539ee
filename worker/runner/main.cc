// likeness-worker: trains and draws.
#include <cstdio>
#include <map>
#include <string>

#include "common/flags.h"
#include "common/library_logs.h"
#include "common/standard_output.h"
#include "common/version.h"
#include "worker/base/huge_pages.h"
#include "worker/images/decode.h"
#include "worker/runner/commands.h"

namespace {

constexpr char kHelp[] = R"(Usage: likeness-worker [COMMAND] [FLAGS]

  serve           works for a likeness-server (the default)
  run             does one job without a server
  healthcheck     asks whether the worker of this machine is up
  pretrain-mini   pretrains the built-in miniature model
  draw-subject    draws photos of a subject for the miniature model
  measure-mini    measures pictures of the miniature model's world
  contact-sheet   lays pictures on one page

likeness-worker COMMAND --help lists a command's flags; --version prints the version.
)";

int Run(likeness::CommandLine arguments) {
  const std::map<std::string, int (*)(const likeness::CommandLine&)> commands = {
      {"serve", likeness::ServeCommand},
      {"run", likeness::RunCommand},
      {"healthcheck", likeness::HealthcheckCommand},
      {"pretrain-mini", likeness::PretrainMiniCommand},
      {"draw-subject", likeness::DrawSubjectCommand},
      {"measure-mini", likeness::MeasureMiniCommand},
      {"contact-sheet", likeness::ContactSheetCommand},
  };
  if (!arguments.empty() &&
      (arguments[0] == "help" || arguments[0] == "--help" || arguments[0] == "-h")) {
    std::fputs(kHelp, stdout);
    return 0;
  }
  if (!arguments.empty() && arguments[0] == "--version") {
    std::printf("%s\n", likeness::Version());
    return 0;
  }
  std::string command = "serve";
  if (!arguments.empty() && !arguments[0].starts_with('-')) {
    command = arguments[0];
    arguments.erase(arguments.begin());
  }
  const auto found = commands.find(command);
  if (found == commands.end()) {
    std::fprintf(stderr, "likeness-worker: unknown command \"%s\"\n\n%s", command.c_str(), kHelp);
    return 2;
  }
  return found->second(arguments);
}

}  // namespace

int main(int argc, char** argv) {
  likeness::UseHugePages(argv);
  likeness::TakeLibraryLogs();
  likeness::SilenceImageLibraries();
  return likeness::FinishStdout("likeness-worker", Run(likeness::Arguments(argc, argv)));
}
