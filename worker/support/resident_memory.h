// What this process holds of the machine's memory, and what there is left.
#pragma once

namespace likeness {

// Bytes of memory that this process holds now, and held at most.
struct ResidentMemory {
  double now_bytes = 0;
  double peak_bytes = 0;
};
ResidentMemory ReadResidentMemory();

// Bytes that this process may still take without swapping: of the machine, or of the control group
// (version 2) that it is in, whichever is less. 0 when it cannot be told.
double ReadAvailableMemory();

}  // namespace likeness
