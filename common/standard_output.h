// Results on stdout: lost ones are an error.
#pragma once

namespace likeness {

// The last thing that a program does: flushes stdout. Where something could not be written (a full
// disk) it says so on stderr and returns `failed` instead of an `exit_code` of 0. A reader that has
// left ("| head") has had enough: that is no error.
int FinishStdout(const char* program, int exit_code, int failed = 1);

}  // namespace likeness
