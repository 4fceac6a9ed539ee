#include "worker/base/allocator.h"

#include <unistd.h>

#include <fstream>
#include <memory>
#include <vector>

#include "gtest/gtest.h"

namespace likeness {
namespace {

long ResidentBytes() {
  long all = 0;
  long resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(AllocatorTest, ReturnsMemoryThatIsFreeBelowMemoryInUse) {
  constexpr size_t kPiece = 64 << 10;  // small enough to lie in the heap whatever the settings
  constexpr long kAll = 64 << 20;
  std::vector<std::unique_ptr<char[]>> pieces;
  for (long bytes = 0; bytes < kAll; bytes += kPiece) {
    pieces.push_back(std::make_unique<char[]>(kPiece));  // cleared, so in memory
  }
  const auto in_use = std::make_unique<char[]>(kPiece);
  pieces.clear();
  const long held = ResidentBytes();
  ReturnFreeMemory();
  EXPECT_LT(ResidentBytes(), held - kAll / 2);
  EXPECT_EQ(in_use[0], 0);
}

}  // namespace
}  // namespace likeness
