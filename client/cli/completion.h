// What shells offer when Tab is pressed, from the tables of commands and flags. The scripts that
// `likeness completion` prints ask `likeness __complete WORD...`, whose last word is being typed;
// the answer is a line for each candidate, "WORD<tab>what it is", or ":files" or ":dirs" for the
// shell to offer these.
#pragma once

#include "client/cli/command.h"

namespace likeness::client {

// The hidden command, and what a command's own arguments begin with when they are to be completed.
inline constexpr char kComplete[] = "__complete";

// `words`: what stands behind the program's name. Returns the exit code.
int CompleteProgram(const Args& words);

// `words`: what stands behind the command. Names of jobs and models are asked of the server that
// `context` names, for two seconds at most; without it there are none.
int CompleteArgument(const FlagSet& flags, const Form& form, const Context& context,
                     const Args& words);

}  // namespace likeness::client
