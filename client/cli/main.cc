// likeness: submit, watch, list, cancel, download.
#include <csignal>

#include "client/cli/help.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  return likeness::client::RunProgram(likeness::Arguments(argc, argv));
}
