// In every test program that uses LibTorch: each test draws the same numbers in each run.
// LibTorch's own first seed is drawn anew by each process.

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace {

class SeedTorch : public testing::EmptyTestEventListener {
  // Before the suite's and the test's own set-up.
  void OnTestSuiteStart(const testing::TestSuite&) override { torch::manual_seed(0); }
  void OnTestStart(const testing::TestInfo&) override { torch::manual_seed(0); }
};

[[maybe_unused]] const bool kSeeded = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new SeedTorch);
  return true;
}();

}  // namespace
