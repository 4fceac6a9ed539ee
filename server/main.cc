// likeness-server: see likeness-server help.
#include "common/library_logs.h"
#include "common/standard_output.h"
#include "server/commands/commands.h"

int main(int argc, char** argv) {
  likeness::TakeLibraryLogs();
  return likeness::FinishStdout("likeness-server",
                                likeness::server::RunProgram(likeness::Arguments(argc, argv)));
}
