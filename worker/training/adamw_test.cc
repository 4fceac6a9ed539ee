#include "worker/training/adamw.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "worker/base/error.h"

namespace likeness {
namespace {

// Two tensors of unlike size with a gradient that changes every step.
std::vector<torch::Tensor> Parameters() {
  torch::manual_seed(1);
  return {torch::randn({3, 5}).requires_grad_(), torch::randn({130}).requires_grad_()};
}

void SetGradients(std::vector<torch::Tensor>& parameters, int step, double size) {
  torch::manual_seed(100 + step);
  for (torch::Tensor& parameter : parameters)
    parameter.mutable_grad() = torch::randn(parameter.sizes()) * size;
}

torch::Tensor StepsOf(const Optimizer& optimizer) {
  return optimizer.State({"a", "b"}).front().second;
}

TEST(AdamWTest, UpdatesAsTorchDoes) {
  for (double size : {0.01, 10.0}) {  // below and above the clipping norm
    auto ours = Parameters();
    auto theirs = Parameters();
    AdamW optimizer({{.parameters = ours, .learning_rate = 1e-2}}, {.weight_decay = 0.1});
    torch::optim::AdamW reference(theirs, torch::optim::AdamWOptions(1e-2).weight_decay(0.1));
    for (int step = 0; step < 10; ++step) {
      SetGradients(ours, step, size);
      SetGradients(theirs, step, size);
      const double norm = optimizer.Step();
      EXPECT_NEAR(norm, torch::nn::utils::clip_grad_norm_(theirs, 1.0), norm * 1e-6);
      reference.step();
    }
    for (size_t i = 0; i < ours.size(); ++i)
      EXPECT_TRUE(torch::allclose(ours[i], theirs[i], 1e-6, 1e-7)) << "gradient size " << size;
  }
}

// The most bytes allocated on the CPU at one time, of those allocated while it lives.
class PeakMeter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t bytes, size_t, size_t, c10::Device) override {
    held_ += bytes;
    peak_ = std::max(peak_, held_);
  }
  bool memoryProfilingEnabled() const override { return true; }
  int64_t peak() const { return peak_; }

 private:
  int64_t held_ = 0, peak_ = 0;
};

// Updates six weights [2, columns] once by gradients in bfloat16, which `lay_out` lays in memory.
// Holds them to the reference, and returns the most bytes that the update took meanwhile.
int64_t BytesOfBfloat16Update(int64_t columns, torch::Tensor (*lay_out)(const torch::Tensor&)) {
  std::vector<torch::Tensor> parameters, masters, expected;
  for (int i = 0; i < 6; ++i) {
    masters.push_back(torch::full({2, columns}, 1.0 + i));
    parameters.push_back(lay_out(masters.back().to(torch::kBFloat16)).requires_grad_());
    parameters.back().mutable_grad() = torch::full_like(parameters.back(), 0.5 * (i - 1));
    expected.push_back(torch::full({1}, 1.0 + i).requires_grad_());
    expected.back().mutable_grad() = torch::full({1}, 0.5 * (i - 1));
  }
  AdamW optimizer({{.parameters = parameters, .learning_rate = 0.25, .masters = masters}},
                  {.weight_decay = 0, .max_grad_norm = 0});
  torch::optim::AdamW reference(expected, torch::optim::AdamWOptions(0.25).weight_decay(0));
  const auto meter = std::make_shared<PeakMeter>();
  {
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, meter);
    optimizer.Step();
  }
  reference.step();
  for (size_t i = 0; i < masters.size(); ++i) {
    EXPECT_FLOAT_EQ(masters[i].min().item<float>(), expected[i].item<float>()) << i;
    EXPECT_FLOAT_EQ(masters[i].max().item<float>(), expected[i].item<float>()) << i;
  }
  return meter->peak();
}

TEST(AdamWTest, GradientsAreCopiedInPartsOfBoundedSize) {
  // Any three weights exceed the bound; their gradients lie in memory in another order.
  const int64_t columns = AdamW::kNumbersCopied / 6 + 1;
  const int64_t peak =
      BytesOfBfloat16Update(columns, [](const torch::Tensor& x) { return x.t().contiguous().t(); });
  EXPECT_GE(peak, 3 * 2 * columns * 4);
  EXPECT_LT(peak, 4 * 2 * columns * 4);
}

TEST(AdamWTest, GradientsAreCopiedThroughTheCache) {
  // Two whole parts of each gradient, and two numbers.
  const int64_t columns = kNumbersInCache + 1;
  const int64_t peak =
      BytesOfBfloat16Update(columns, [](const torch::Tensor& x) { return x.clone(); });
  EXPECT_GE(peak, kNumbersInCache * 4);
  EXPECT_LT(peak, 2 * kNumbersInCache * 4);
}

TEST(AdamWTest, GroupsHaveTheirOwnRateAndShareTheNorm) {
  auto ours = Parameters();
  auto theirs = Parameters();
  AdamW optimizer({{.parameters = {ours[0]}, .learning_rate = 1e-2},
                   {.parameters = {ours[1]}, .learning_rate = 3e-2}},
                  {});
  torch::optim::AdamW first({theirs[0]}, torch::optim::AdamWOptions(0.5e-2));
  torch::optim::AdamW second({theirs[1]}, torch::optim::AdamWOptions(1.5e-2));
  SetGradients(ours, 0, 10);
  SetGradients(theirs, 0, 10);
  torch::nn::utils::clip_grad_norm_(theirs, 1.0);
  optimizer.Step(/*schedule_factor=*/0.5);
  first.step();
  second.step();
  for (size_t i = 0; i < ours.size(); ++i)
    EXPECT_TRUE(torch::allclose(ours[i], theirs[i], 1e-6, 1e-7));
}

TEST(AdamWTest, AParameterWithoutGradientIsLeftAlone) {
  auto parameters = Parameters();
  const auto before = parameters[1].detach().clone();
  AdamW optimizer({{.parameters = parameters, .learning_rate = 1}}, {});
  parameters[0].mutable_grad() = torch::ones_like(parameters[0]);
  optimizer.Step();
  EXPECT_TRUE(torch::equal(parameters[1], before));
}

// Its bias correction begins with its own first gradient: with the other's count its first update
// would be up to 3.2 times as large.
TEST(AdamWTest, AParameterWhoseGradientComesLateIsUpdatedAsTorchDoes) {
  auto ours = Parameters();
  auto theirs = Parameters();
  AdamW optimizer({{.parameters = ours, .learning_rate = 1e-2}}, {});
  torch::optim::AdamW reference(theirs, torch::optim::AdamWOptions(1e-2));
  for (int step = 0; step < 12; ++step) {
    SetGradients(ours, step, 0.01);
    SetGradients(theirs, step, 0.01);
    if (step < 8) {
      ours[1].mutable_grad().reset();
      theirs[1].mutable_grad().reset();
    }
    optimizer.Step();
    reference.step();
    ASSERT_TRUE(torch::allclose(ours[1], theirs[1], 1e-6, 1e-7)) << "step " << step;
    ASSERT_TRUE(torch::allclose(ours[0], theirs[0], 1e-6, 1e-7)) << "step " << step;
  }
  EXPECT_TRUE(torch::equal(StepsOf(optimizer), torch::tensor({12, 4}, torch::kInt64)));
}

TEST(AdamWTest, SmallUpdatesAddUpUnderBfloat16) {
  auto parameter = torch::ones({64}, torch::kBFloat16).requires_grad_();
  auto master = torch::ones({64});
  AdamW optimizer({{.parameters = {parameter}, .learning_rate = 1e-4, .masters = {master}}},
                  {.weight_decay = 0});
  for (int step = 0; step < 100; ++step) {  // one step of 1e-4 is lost in bfloat16's 2^-8
    parameter.mutable_grad() = torch::ones({64}, torch::kBFloat16);
    optimizer.Step();
  }
  EXPECT_NEAR(master[0].item<float>(), 0.99, 1e-4);
  EXPECT_NEAR(parameter[0].item<float>(), 0.99, 4e-3);
}

TEST(AdamWTest, NonFiniteGradientsChangeNothing) {
  auto parameters = Parameters();
  const auto before = parameters[0].detach().clone();
  AdamW optimizer({{.parameters = parameters, .learning_rate = 1}}, {});
  SetGradients(parameters, 0, 1);
  parameters[0].mutable_grad()[0][0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(optimizer.Step(), Error);
  EXPECT_TRUE(torch::equal(parameters[0], before));
  EXPECT_TRUE(torch::equal(StepsOf(optimizer), torch::tensor({0, 0}, torch::kInt64)));
}

}  // namespace
}  // namespace likeness
