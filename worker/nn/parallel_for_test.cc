#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <array>

namespace likeness {
namespace {

// at::parallel_for is a loop on the calling thread in files that are compiled without OpenMP.
TEST(ParallelForTest, GivesEachThreadItsPart) {
  const int threads = at::get_num_threads();
  at::set_num_threads(2);
  std::array<int, 2> thread_of{-1, -1};
  at::parallel_for(0, 2, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) thread_of[i] = at::get_thread_num();
  });
  at::set_num_threads(threads);
  EXPECT_EQ(thread_of, (std::array{0, 1}));
}

}  // namespace
}  // namespace likeness
