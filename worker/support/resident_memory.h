// What this process holds of the machine's memory.
#pragma once

namespace likeness {

// Bytes of memory that this process holds now, and held at most.
struct ResidentMemory {
  double now_bytes = 0;
  double peak_bytes = 0;
};
ResidentMemory ReadResidentMemory();

}  // namespace likeness
