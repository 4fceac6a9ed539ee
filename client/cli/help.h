// Which command is meant.
#pragma once

#include "client/cli/command.h"

namespace likeness::client {

// Runs the command that `arguments` name. Flags may stand before it too: likeness --json list.
// Returns the exit code.
int RunProgram(const Args& arguments);

}  // namespace likeness::client
