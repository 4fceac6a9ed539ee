#include "tests/support/disk_faults.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace likeness::testing {

DiskFaults::DiskFaults(const std::string& library, const std::string& folder,
                       const std::string& root)
    : path_(folder + "/disk-faults") {
  Set("");
  setenv(kDiskFaults, path_.c_str(), 1);
  setenv(kDiskRoot, root.c_str(), 1);
  setenv("LD_PRELOAD", library.c_str(), 1);
}

DiskFaults::~DiskFaults() {
  for (const char* name : {kDiskFaults, kDiskRoot, "LD_PRELOAD"}) unsetenv(name);
}

void DiskFaults::Set(const std::string& faults) {
  std::ofstream(path_ + ".new") << faults;
  std::rename((path_ + ".new").c_str(), path_.c_str());
}

void FlipBit(const std::string& path, int64_t offset, int bit) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(offset);
  const int byte = file.get();
  file.seekp(offset);
  file.put(static_cast<char>(byte ^ (1 << bit)));
}

}  // namespace likeness::testing
