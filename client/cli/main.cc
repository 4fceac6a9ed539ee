// likeness: submit, watch, list, cancel, download.
#include <csignal>

#include "client/cli/exit_code.h"
#include "client/cli/help.h"
#include "common/library_logs.h"
#include "common/standard_output.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  likeness::TakeLibraryLogs(/*silent=*/true);
  return likeness::FinishStdout("likeness",
                                likeness::client::RunProgram(likeness::Arguments(argc, argv)),
                                likeness::client::kJobFailed);
}
