#include "worker/nn/named_activations.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace likeness {
namespace {

// What the modules of torch.nn.modules.activation (PyTorch 2.13.0), made without arguments, give
// for -3, -0.75, 0.25 and 7.
const std::map<std::string, std::vector<double>>& GivenByPyTorch() {
  static const auto& given = *new std::map<std::string, std::vector<double>>{
      {"linear", {-3, -0.75, 0.25, 7}},
      {"relu", {0, 0, 0.25, 7}},
      {"silu", {-0.142278, -0.240616, 0.140544, 6.99362}},
      {"leakyrelu", {-0.03, -0.0075, 0.25, 7}},
      {"elu", {-0.950213, -0.527633, 0.25, 7}},
      {"tanh", {-0.995055, -0.635149, 0.244919, 0.999998}},
      {"sigmoid", {0.0474259, 0.320821, 0.562177, 0.999089}},
      {"celu", {-0.950213, -0.527633, 0.25, 7}},
      {"gelu", {-0.00404969, -0.169971, 0.149677, 7}},
      {"hardshrink", {-3, -0.75, 0, 7}},
      {"hardsigmoid", {0, 0.375, 0.541667, 1}},
      {"hardswish", {-0, -0.28125, 0.135417, 7}},
      {"hardtanh", {-1, -0.75, 0.25, 1}},
      {"logsigmoid", {-3.04859, -1.13687, -0.575939, -0.000911466}},
      {"mish", {-0.145647, -0.276495, 0.169572, 6.99999}},
      {"relu6", {0, 0, 0.25, 6}},
      {"selu", {-1.67057, -0.927632, 0.262675, 7.35491}},
      {"softplus", {0.0485874, 0.386871, 0.825939, 7.00091}},
      {"softshrink", {-2.5, -0.25, 0, 6.5}},
      {"softsign", {-0.75, -0.428571, 0.2, 0.875}},
      {"tanhshrink", {-2.00495, -0.114851, 0.00508134, 6}},
  };
  return given;
}

TEST(NamedActivationsTest, EachIsPyTorchsModuleOfItsClass) {
  const auto x = torch::tensor({-3.0, -0.75, 0.25, 7.0}, torch::kFloat64);
  for (const NamedActivation& row : NamedActivations()) {
    SCOPED_TRACE(row.name);
    const auto y = row.function == nullptr ? x : row.function(x);
    const auto wanted = torch::tensor(GivenByPyTorch().at(row.class_name), torch::kFloat64);
    EXPECT_LT((y - wanted).abs().max().item<double>(), 1e-5);
  }
  EXPECT_EQ(NamedActivations().size(), GivenByPyTorch().size());
}

TEST(NamedActivationsTest, AreFoundByEitherName) {
  EXPECT_STREQ(FindActivation("leaky_relu")->class_name, "leakyrelu");
  EXPECT_STREQ(FindActivation("swish")->class_name, "silu");
  EXPECT_STREQ(FindActivationByClass("silu")->name, "swish");
  EXPECT_EQ(FindActivation("prelu"), nullptr);
  EXPECT_EQ(FindActivationByClass("swish"), nullptr);
}

}  // namespace
}  // namespace likeness
