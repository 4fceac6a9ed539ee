// The sub-commands of likeness-worker. Each takes its arguments and returns the process's exit
// code: 0 done, 1 failed, 2 wrong use.
#pragma once

#include <string>
#include <vector>

namespace likeness {

using CommandLine = std::vector<std::string>;

int ServeCommand(const CommandLine& arguments);
int RunCommand(const CommandLine& arguments);
int HealthcheckCommand(const CommandLine& arguments);
int PretrainMiniCommand(const CommandLine& arguments);
int DrawSubjectCommand(const CommandLine& arguments);
int MeasureMiniCommand(const CommandLine& arguments);
int ContactSheetCommand(const CommandLine& arguments);

}  // namespace likeness
