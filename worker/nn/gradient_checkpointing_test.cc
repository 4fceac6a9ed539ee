#include "worker/nn/gradient_checkpointing.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <optional>

namespace likeness {
namespace {

at::Generator Seeded(uint64_t seed) { return at::make_generator<at::CPUGeneratorImpl>(seed); }

// Two layers with a dropout that draws from the generator; the gradients of x and of the weight.
struct Gradients {
  torch::Tensor output, of_x, of_weight;
  int computed = 0;
};
Gradients TwoLayers(bool checkpointed, bool x_requires_grad = true) {
  auto generator = Seeded(7);
  torch::manual_seed(1);
  auto x = torch::randn({4, 6}).set_requires_grad(x_requires_grad);
  auto weight = torch::randn({6, 6}).requires_grad_();
  Gradients gradients;
  const Computation layer = [&](const std::vector<torch::Tensor>& inputs) {
    ++gradients.computed;
    const auto h = torch::tanh(inputs[0].mm(weight));
    return torch::GradMode::is_enabled() ? h * torch::empty(h.sizes()).bernoulli_(0.5, generator)
                                         : h;
  };
  std::optional<GradientCheckpointing> scope;
  if (checkpointed) scope.emplace(generator);
  gradients.output = Checkpointed(layer, {Checkpointed(layer, {x})});
  scope.reset();
  const auto after = torch::rand({1}, generator);  // the step goes on drawing
  (gradients.output.square().sum() * after).backward();
  gradients.of_x = x.grad();
  gradients.of_weight = weight.grad();
  return gradients;
}

TEST(GradientCheckpointingTest, GradientsAreEqualWithNumbersThatAreDrawnOnTheWay) {
  for (const bool x_requires_grad : {true, false}) {
    const Gradients kept = TwoLayers(false, x_requires_grad);
    const Gradients again = TwoLayers(true, x_requires_grad);
    EXPECT_TRUE(torch::equal(kept.output, again.output));
    EXPECT_TRUE(torch::equal(kept.of_weight, again.of_weight));
    if (x_requires_grad) {
      EXPECT_TRUE(torch::equal(kept.of_x, again.of_x));
    }
    EXPECT_EQ(kept.computed, 2);
    EXPECT_EQ(again.computed, 4);
  }
}

TEST(GradientCheckpointingTest, TheGeneratorGoesOnWhereItWasBeforeTheBackwardPass) {
  auto generator = Seeded(3), same = Seeded(3);
  auto weight = torch::ones({2}).requires_grad_();
  torch::Tensor output;
  {
    const GradientCheckpointing scope(generator);
    output = Checkpointed(
        [&](const std::vector<torch::Tensor>&) { return weight * torch::rand({2}, generator); },
        {torch::ones({1})});
  }
  output.sum().backward();
  torch::rand({2}, same);
  EXPECT_TRUE(torch::equal(torch::rand({1}, generator), torch::rand({1}, same)));
}

TEST(GradientCheckpointingTest, NothingIsComputedTwiceWithoutGradients) {
  int computed = 0;
  const GradientCheckpointing scope(Seeded(0));
  torch::NoGradGuard no_grad;
  Checkpointed(
      [&](const std::vector<torch::Tensor>& inputs) {
        ++computed;
        return inputs[0] * 2;
      },
      {torch::ones({1})});
  EXPECT_EQ(computed, 1);
}

}  // namespace
}  // namespace likeness
