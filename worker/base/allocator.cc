#include "worker/base/allocator.h"

#include <malloc.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace likeness {

void SetUpAllocator(char** argv) {
  constexpr char kVariable[] = "GLIBC_TUNABLES";
  // Huge pages; no mapping of its own for a big piece; one heap for all threads, as those of other
  // threads are mappings, too; nothing given back below 1 TiB but by ReturnFreeMemory.
  constexpr char kTunables[] =
      "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.arena_max=1:"
      "glibc.malloc.trim_threshold=1099511627776";
  if (std::getenv(kVariable) != nullptr) return;
  // The file's own name, so that the process keeps it.
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error || setenv(kVariable, kTunables, /*overwrite=*/0) != 0) return;
  // Comes back only if it fails; then glibc's own settings have to do.
  execv(program.c_str(), argv);
}

void ReturnFreeMemory() { malloc_trim(/*pad=*/0); }

}  // namespace likeness
