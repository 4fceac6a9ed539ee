#include "worker/base/allocator.h"

#include <unistd.h>

#include <fstream>
#include <memory>
#include <optional>

#include "gtest/gtest.h"

namespace likeness {
namespace {

constexpr long kPiece = 64 << 20;  // more than glibc gives from its heap by itself

long ResidentBytes() {
  long all = 0;
  long resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

void TakeAndFree() {
  const std::unique_ptr<volatile char[]> piece(new volatile char[kPiece]);
  for (long i = 0; i < kPiece; i += 1 << 10) piece[i] = 1;
}

TEST(AllocatorTest, FreedMemoryStaysWhileItIsKeptAndIsThenReturnedBelowMemoryInUse) {
  const long before = ResidentBytes();
  std::optional<KeepFreedMemory> keep(std::in_place);
  TakeAndFree();
  EXPECT_GT(ResidentBytes(), before + kPiece / 2);
  auto piece = std::make_unique<char[]>(kPiece);
  const auto in_use = std::make_unique<char[]>(kPiece / 8);
  piece.reset();
  EXPECT_GT(ResidentBytes(), before + kPiece);
  keep.reset();
  EXPECT_LT(ResidentBytes(), before + kPiece / 2);
  EXPECT_EQ(in_use[0], 0);
}

TEST(AllocatorTest, BigPiecesGoBackAtOnceAfterwards) {
  { const KeepFreedMemory keep; }
  const long before = ResidentBytes();
  TakeAndFree();
  EXPECT_LT(ResidentBytes(), before + kPiece / 2);
}

}  // namespace
}  // namespace likeness
