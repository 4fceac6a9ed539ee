// What libraries say on their own account goes to this program's log, never raw to a person.
#pragma once

namespace likeness {

// Takes over the log handlers of protobuf and gRPC; first thing in main. `silent`: their lines are
// dropped, for a program whose stderr is for people. What goes wrong is told by statuses anyway.
void TakeLibraryLogs(bool silent = false);

}  // namespace likeness
