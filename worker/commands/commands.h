// The sub-commands of likeness-worker.
#pragma once

#include "worker/support/command_flags.h"

namespace likeness {

int ServeCommand(const CommandLine& arguments);
int RunCommand(const CommandLine& arguments);
int HealthcheckCommand(const CommandLine& arguments);
int ContactSheetCommand(const CommandLine& arguments);
int ConvertCommand(const CommandLine& arguments);

}  // namespace likeness
