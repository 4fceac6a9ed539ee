// Which command is meant.
#pragma once

#include "client/cli/command.h"

namespace likeness::client {

// Runs the command that `arguments` name. Flags may stand before it too: likeness --json list.
// Returns the exit code.
int RunProgram(const Args& arguments);

// The place of the first argument that is neither a flag nor a flag's value: of the command.
size_t CommandPlace(const Args& arguments);

// Null if there is none of that name.
const Command* FindCommand(absl::string_view name);

}  // namespace likeness::client
