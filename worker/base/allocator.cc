#include "worker/base/allocator.h"

#include <malloc.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace likeness {

void SetUpAllocator(char** argv) {
  constexpr char kVariable[] = "GLIBC_TUNABLES";
  constexpr char kTunables[] = "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1";
  if (std::getenv(kVariable) != nullptr) return;
  // The file's own name, so that the process keeps it.
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error || setenv(kVariable, kTunables, /*overwrite=*/0) != 0) return;
  // Comes back only if it fails; then glibc's own settings have to do.
  execv(program.c_str(), argv);
}

KeepFreedMemory::KeepFreedMemory() {
  mallopt(M_MMAP_MAX, 0);         // no mapping of its own for a big piece
  mallopt(M_TRIM_THRESHOLD, -1);  // nothing given back from the end of the heap
}

KeepFreedMemory::~KeepFreedMemory() {
  // What glibc comes to by itself once it has seen a big piece freed.
  constexpr int kMmapThreshold = 32 << 20;
  mallopt(M_MMAP_MAX, 65536);
  mallopt(M_MMAP_THRESHOLD, kMmapThreshold);
  mallopt(M_TRIM_THRESHOLD, 2 * kMmapThreshold);
  malloc_trim(/*pad=*/0);
}

}  // namespace likeness
