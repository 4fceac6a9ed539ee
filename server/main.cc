// likeness-server: see likeness-server help.
#include "server/commands/commands.h"

int main(int argc, char** argv) {
  return likeness::server::RunProgram(likeness::Arguments(argc, argv));
}
