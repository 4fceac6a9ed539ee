#include "worker/training/adamw_8bit.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "worker/training/adamw.h"

namespace likeness {
namespace {

// Golden numbers: bitsandbytes 0.50.2, functional.create_dynamic_map.
TEST(AdamW8BitTest, MapsAreThoseOfBitsandbytes) {
  const auto with_sign = DynamicMap(true), without = DynamicMap(false);
  ASSERT_EQ(with_sign.numel(), 256);
  ASSERT_EQ(without.numel(), 256);
  EXPECT_FLOAT_EQ(with_sign[0].item<float>(), -0.992968738079071f);
  EXPECT_FLOAT_EQ(with_sign[1].item<float>(), -0.9789062738418579f);
  EXPECT_FLOAT_EQ(with_sign[60].item<float>(), -0.14921875298023224f);
  EXPECT_FLOAT_EQ(with_sign[127].item<float>(), 0.0f);
  EXPECT_FLOAT_EQ(with_sign[128].item<float>(), 5.500000384017767e-07f);
  EXPECT_FLOAT_EQ(with_sign[130].item<float>(), 7.749999895168003e-06f);
  EXPECT_FLOAT_EQ(with_sign[200].item<float>(), 0.23359374701976776f);
  EXPECT_FLOAT_EQ(with_sign[255].item<float>(), 1.0f);
  EXPECT_FLOAT_EQ(without[0].item<float>(), 0.0f);
  EXPECT_FLOAT_EQ(without[1].item<float>(), 3.2500003044333425e-07f);
  EXPECT_FLOAT_EQ(without[60].item<float>(), 0.009296874515712261f);
  EXPECT_FLOAT_EQ(without[127].item<float>(), 0.103515625f);
  EXPECT_FLOAT_EQ(without[129].item<float>(), 0.11757812649011612f);
  EXPECT_FLOAT_EQ(without[200].item<float>(), 0.6167968511581421f);
  EXPECT_FLOAT_EQ(without[254].item<float>(), 0.9964843988418579f);
  EXPECT_FLOAT_EQ(without[255].item<float>(), 1.0f);
}

// Golden numbers: bitsandbytes 0.50.2, AdamW8bit(lr=1e-2), where it rounds to the nearest code, as
// on GPUs (quantize_to_nearest of tests/parity/dreambooth_parity_test.py).
TEST(AdamW8BitTest, TakesTheStepsOfBitsandbytes) {
  constexpr int64_t kNumbers = 4096 + 77;
  const auto i = torch::arange(kNumbers);
  const auto wave = [&](int64_t step) {
    return (((i * 7919 + step * 104729) % 2001 - 1000) / 1024.0).to(torch::kFloat32);
  };
  auto weight = wave(0).requires_grad_();
  AdamW8Bit optimizer({{.parameters = {weight}, .learning_rate = 1e-2}}, {.max_grad_norm = 0});
  for (int step = 0; step < 5; ++step) {
    weight.mutable_grad() = wave(step) * torch::exp2(-(i % 7).to(torch::kFloat32));
    optimizer.Step();
  }
  std::map<std::string, torch::Tensor> state;
  for (const auto& [name, tensor] : optimizer.State({"w"})) state[name] = tensor;
  const auto m = state.at("adamw_8bit.m/w"), v = state.at("adamw_8bit.v/w");
  struct Row {
    int64_t at;
    float weight;
    int m, v;
  };
  for (const Row& row :
       {Row{0, -0.9402861595153809f, 0, 253}, Row{5, 0.5562344789505005f, 100, 26},
        Row{4095, -0.8470113277435303f, 19, 230}, Row{4170, 0.693576991558075f, 150, 27}}) {
    EXPECT_FLOAT_EQ(weight[row.at].item<float>(), row.weight);
    EXPECT_EQ(m[row.at].item<int>(), row.m);
    EXPECT_EQ(v[row.at].item<int>(), row.v);
  }
  EXPECT_FLOAT_EQ(state.at("adamw_8bit.m.scales/w")[16].item<float>(), 0.1317732334136963f);
  EXPECT_FLOAT_EQ(state.at("adamw_8bit.v.scales/w")[16].item<float>(), 0.0021064728498458862f);
  // All codes; processors that fuse multiplication and addition may round one or two otherwise.
  EXPECT_NEAR(m.sum().item<int64_t>(), 527943, 2);
  EXPECT_NEAR(v.sum().item<int64_t>(), 348837, 2);
}

// As updates go: a new gradient each step, of another size in each part of the tensor.
torch::Tensor Gradient(int64_t numbers, int step) {
  torch::manual_seed(100 + step);
  return torch::randn({numbers}) * torch::logspace(-3, 0, numbers);
}

TEST(AdamW8BitTest, StaysCloseToAdamWWithWholeMoments) {
  constexpr int64_t kNumbers = (Quantized::kBlock << 10) + 77;  // two parts, and a cut block
  torch::manual_seed(1);
  auto eight = torch::randn({kNumbers}).requires_grad_();
  const auto start = eight.detach().clone();
  auto whole = start.clone().requires_grad_();
  AdamW8Bit ours({{.parameters = {eight}, .learning_rate = 1e-2}}, {.max_grad_norm = 0});
  AdamW exact({{.parameters = {whole}, .learning_rate = 1e-2}}, {.max_grad_norm = 0});
  for (int step = 0; step < 20; ++step) {
    eight.mutable_grad() = Gradient(kNumbers, step);
    whole.mutable_grad() = Gradient(kNumbers, step);
    ours.Step();
    exact.Step();
  }
  const double moved = (whole - start).norm().item<double>();
  EXPECT_LT((eight - whole).norm().item<double>(), 0.05 * moved);
  // The cut block, and the numbers on either side of the parts' border, moved as the others did.
  for (const auto& place : {torch::indexing::Slice(kNumbers - 77, kNumbers),
                            torch::indexing::Slice(kNumbers - 80, kNumbers - 74)}) {
    const auto part = (whole - start).index({place});
    EXPECT_LT(((eight - start).index({place}) - part).norm().item<double>(),
              0.1 * part.norm().item<double>());
  }
}

TEST(AdamW8BitTest, AMomentOfALargeTensorTakesOneByteANumber) {
  auto large = torch::randn({64, 256}).requires_grad_(),
       small = torch::randn({10}).requires_grad_();
  const AdamW8Bit optimizer({{.parameters = {large, small}, .learning_rate = 1e-2}}, {});
  int64_t bytes = 0;
  for (const auto& [name, tensor] : optimizer.State({"large", "small"})) {
    if (name.find("/large") != std::string::npos) bytes += static_cast<int64_t>(tensor.nbytes());
    if (name == "adamw_8bit.m/small") {
      EXPECT_EQ(tensor.scalar_type(), torch::kFloat32);
    }
  }
  EXPECT_EQ(bytes, 2 * (large.numel() + 4 * large.numel() / Quantized::kBlock));
}

// Weights may lie in memory in another order than their sizes say.
TEST(AdamW8BitTest, TheOrderInMemoryChangesNoNumberOfOneBlock) {
  torch::manual_seed(3);
  auto plain = torch::randn({64, 64, 3, 3}).requires_grad_();
  auto last = plain.detach().contiguous(torch::MemoryFormat::ChannelsLast).requires_grad_();
  const auto gradient = torch::ones_like(plain.detach()) * 0.5;
  for (auto* weight : {&plain, &last}) {
    AdamW8Bit optimizer({{.parameters = {*weight}, .learning_rate = 1e-2}}, {});
    for (int step = 0; step < 3; ++step) {
      weight->mutable_grad() = gradient.clone();
      optimizer.Step();
    }
  }
  EXPECT_TRUE(torch::equal(plain, last));
}

TEST(AdamW8BitTest, BlocksWithoutAnyGradientStayZero) {
  auto weight = torch::ones({8192}).requires_grad_();
  AdamW8Bit optimizer({{.parameters = {weight}, .learning_rate = 1e-2}}, {.weight_decay = 0});
  auto gradient = torch::zeros({8192});
  gradient.slice(0, 0, 256).fill_(1);
  weight.mutable_grad() = gradient;
  optimizer.Step();
  EXPECT_TRUE(torch::equal(weight.slice(0, 256), torch::ones({8192 - 256})));
  EXPECT_LT(weight.slice(0, 0, 256).max().item<float>(), 1);
}

}  // namespace
}  // namespace likeness
