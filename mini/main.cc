// likeness-mini: the built-in miniature model and the world of pictures that it knows.
#include "common/flags.h"
#include "common/library_logs.h"
#include "common/standard_output.h"
#include "mini/commands.h"
#include "worker/base/allocator.h"
#include "worker/images/decode.h"

namespace likeness::mini {
namespace {

constexpr char kHelp[] = R"(Usage: likeness-mini COMMAND [FLAGS]

  pretrain       pretrains the built-in miniature model
  draw-subject   draws photos of a subject for the miniature model
  draw-pairs     draws pairs of subjects that differ in a known way
  measure        measures pictures of the miniature model's world

likeness-mini COMMAND --help lists a command's flags; --version prints the
version.
)";

int Run(const CommandLine& arguments) {
  return RunNamedCommand(arguments,
                         {{"pretrain", PretrainCommand},
                          {"draw-subject", DrawSubjectCommand},
                          {"draw-pairs", DrawPairsCommand},
                          {"measure", MeasureCommand}},
                         kHelp, "");
}

}  // namespace
}  // namespace likeness::mini

int main(int argc, char** argv) {
  likeness::SetUpAllocator(argv);
  likeness::TakeLibraryLogs();
  likeness::SilenceImageLibraries();
  return likeness::FinishStdout("likeness-mini",
                                likeness::mini::Run(likeness::Arguments(argc, argv)));
}
