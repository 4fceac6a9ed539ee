#include "worker/training/weight_initialization.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <cmath>
#include <iterator>
#include <string>
#include <vector>

namespace likeness {
namespace {

constexpr int64_t kOutputs = 400, kInputs = 200;

struct Drawn {
  double mean, deviation, largest;
};

Drawn Draw(const std::string& name) {
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(/*seed=*/7);
  const auto weight = FindWeightInitialization(name)->draw(kOutputs, kInputs, generator);
  EXPECT_EQ(weight.sizes(), (std::vector<int64_t>{kOutputs, kInputs}));
  return {weight.mean().item<double>(), weight.std().item<double>(),
          weight.abs().max().item<double>()};
}

// 80,000 numbers: their deviation is known to 0.25 %, and the largest of so many uniform ones is
// close below their bound.
TEST(WeightInitializationTest, DeviationsAndBoundsAreThoseOfTorchInit) {
  const double xavier = std::sqrt(2.0 / (kOutputs + kInputs)), kaiming = std::sqrt(2.0 / kInputs);
  const struct {
    const char* name;
    double deviation;
    bool uniform;
  } cases[] = {{"normal", 0.01, false},
               {"xavier_uniform", xavier, true},
               {"xavier_normal", xavier, false},
               {"kaiming_uniform", kaiming, true},
               {"kaiming_normal", kaiming, false}};
  for (const auto& [name, deviation, uniform] : cases) {
    SCOPED_TRACE(name);
    const Drawn drawn = Draw(name);
    EXPECT_NEAR(drawn.mean / deviation, 0, 0.02);
    EXPECT_NEAR(drawn.deviation / deviation, 1, 0.01);
    const double bound = std::sqrt(3.0) * deviation;
    if (uniform) {
      EXPECT_LE(drawn.largest, bound * (1 + 1e-6));
      EXPECT_GT(drawn.largest, 0.999 * bound);
    } else {
      EXPECT_GT(drawn.largest, 2 * bound);
    }
  }
  EXPECT_EQ(WeightInitializations().size(), std::size(cases));
  EXPECT_EQ(FindWeightInitialization("zeros"), nullptr);
}

}  // namespace
}  // namespace likeness
