// The sub-commands of likeness-mini.
#pragma once

#include "worker/support/command_flags.h"

namespace likeness::mini {

int PretrainCommand(const CommandLine& arguments);
int DrawPairsCommand(const CommandLine& arguments);
int DrawSubjectCommand(const CommandLine& arguments);
int MeasureCommand(const CommandLine& arguments);

}  // namespace likeness::mini
