#include "worker/base/huge_pages.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace likeness {

void UseHugePages(char** argv) {
  constexpr char kVariable[] = "GLIBC_TUNABLES";
  if (std::getenv(kVariable) != nullptr) return;
  // The file's own name, so that the process keeps it.
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error || setenv(kVariable, "glibc.malloc.hugetlb=1", /*overwrite=*/0) != 0) return;
  execv(program.c_str(), argv);  // comes back only if it fails; then small pages have to do
}

}  // namespace likeness
