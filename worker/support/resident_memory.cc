#include "worker/support/resident_memory.h"

#include <fstream>
#include <string>

namespace likeness {

ResidentMemory ReadResidentMemory() {
  ResidentMemory memory;
  std::ifstream status("/proc/self/status");
  std::string key;
  while (status >> key) {
    double kilobytes = 0;
    if (key == "VmRSS:" && status >> kilobytes) memory.now_bytes = kilobytes * 1024;
    if (key == "VmHWM:" && status >> kilobytes) memory.peak_bytes = kilobytes * 1024;
    status.ignore(1 << 12, '\n');
  }
  return memory;
}

}  // namespace likeness
