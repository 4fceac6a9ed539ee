// likeness-worker: trains and draws.
#include "common/flags.h"
#include "common/library_logs.h"
#include "common/standard_output.h"
#include "worker/base/allocator.h"
#include "worker/commands/commands.h"
#include "worker/images/decode.h"

namespace likeness {
namespace {

constexpr char kHelp[] = R"(Usage: likeness-worker [COMMAND] [FLAGS]

  serve           processes the jobs of a likeness-server (the default)
  run             does one job without a server
  healthcheck     asks whether the worker of this machine is up
  contact-sheet   arranges images on one page
  convert         makes a diffusers directory of a single file, or the reverse

likeness-worker COMMAND --help lists a command's flags; --version prints the
version.
)";

int Run(const CommandLine& arguments) {
  return RunNamedCommand(arguments,
                         {{"serve", ServeCommand},
                          {"run", RunCommand},
                          {"healthcheck", HealthcheckCommand},
                          {"contact-sheet", ContactSheetCommand},
                          {"convert", ConvertCommand}},
                         kHelp, "serve");
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  likeness::SetUpAllocator(argv);
  likeness::TakeLibraryLogs();
  likeness::SilenceImageLibraries();
  return likeness::FinishStdout("likeness-worker", likeness::Run(likeness::Arguments(argc, argv)));
}
